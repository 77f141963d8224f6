"""The event store's own work grows with what it is given, and no faster."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from shared.contracts.event import Event
from shared.eventstore import Codec, Decider, Loaded, RecordedEvent
from shared.eventstore.decider import StateCache, fold
from tests.support.steps import growth


class Named(Event, frozen=True, tag="named.v3"):
    names: tuple[str, ...]


class Names(msgspec.Struct, frozen=True):
    names: tuple[str, ...] = ()


def evolve(state: Names, event: Event) -> Names:
    assert isinstance(event, Named)
    return Names(event.names)


NAMES = Decider("names", Names(), evolve, Names)
CODEC = Codec(
    [Named],
    upcasters={
        "named.v1": lambda document: {"names": document["names"].split()},
        "named.v2": lambda document: {"names": document["names"]},
    },
)
DATA = b'{"type":"named.v1","names":"Ada Eve"}'


def recorded(version: int) -> RecordedEvent:
    event, at = Named(("Ada",)), datetime(2026, 1, 1, tzinfo=UTC)
    return RecordedEvent(version, UUID(int=version), UUID(int=1), version, "named.v3", event, DATA * 100, b"{}", at)


def decoding(count: int) -> Callable[[], Any]:
    return lambda: [CODEC.decode("named.v1", DATA) for _ in range(count)]


def filtering(count: int) -> Callable[[], Any]:
    is_wanted = CODEC.wanted(["named.v3"])
    return lambda: [is_wanted(tag) for tag in ("named.v1", "other.v1") * count]


def folding(count: int) -> Callable[[], Any]:
    events = [recorded(version) for version in range(1, count + 1)]
    return lambda: fold(NAMES, Loaded(Names(), 0), events)


def caching(count: int) -> Callable[[], Any]:
    """A stream's state, put after each of its events."""

    def put() -> None:
        cache, loaded = StateCache(100), Loaded(Names(), 0)
        for version in range(1, count + 1):
            loaded = fold(NAMES, cache.get(NAMES, UUID(int=1)) or loaded, [recorded(version)])
            cache.put(NAMES, UUID(int=1), loaded)

    return put


def evicting(count: int) -> Callable[[], Any]:
    """States of many streams, of which few fit."""

    def put() -> None:
        cache = StateCache(10_000, max_bytes=50_000)
        for number in range(count):
            cache.put(NAMES, UUID(int=number), Loaded(Names(), 1, size=3000))

    return put


@pytest.mark.parametrize("work", [decoding, filtering, folding, caching, evicting])
def test_double_the_input_takes_double_the_steps(work: Callable[[int], Callable[[], Any]]) -> None:
    assert growth(work, 200) < 2.2


def test_a_state_is_encoded_for_no_more_than_its_events_have() -> None:
    """Measuring it costs bytes: in all about as many as were recorded."""
    measured = 0
    cache, size = StateCache(10), 0
    for version in range(1, 2_000):
        before = size + 1000
        cache.put(NAMES, UUID(int=1), Loaded(Names(("x" * before,)), version, size=before))
        entry = cache.get(NAMES, UUID(int=1))
        assert entry is not None
        if entry.size != before:
            measured += entry.size
        size = entry.size
    assert measured <= 4 * size
