"""What the store needs to know of an aggregate: how its state grows out of its events."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.eventstore.records import RecordedEvent

S = TypeVar("S")


@dataclass(frozen=True)
class Decider(Generic[S]):
    """An aggregate's fold. `decide` stays a plain function of the domain; the store only folds.

    `snapshot_every` events, the state is stored as JSON, so `state_type` must be a type that msgspec decodes; raise
    `state_version` when its shape or the fold changes, and older snapshots are not used any more.
    """

    name: str
    initial: S
    evolve: Callable[[S, Event], S]
    state_type: type[S]
    state_version: int = 1
    snapshot_every: int | None = None


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A stream's state at a version. Version 0: the stream does not exist (or did not yet).

    `recorded_at` is its last event's time, known when that event was read: with `as_of` always, else not from a cache.
    """

    state: S
    version: int
    position: int = 0
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Handled(Generic[S]):
    """What a command did, and the stream after it.

    `events` is empty when there was nothing to do, or when it had been done before; the stream is then as it is now.
    """

    state: S
    version: int
    position: int
    events: tuple[Event, ...] = ()


def fold(decider: Decider[S], start: Loaded[S], events: list[RecordedEvent]) -> Loaded[S]:
    state = start.state
    for recorded in events:
        state = decider.evolve(state, recorded.event)
    if not events:
        return start
    last = events[-1]
    return Loaded(state, last.version, last.position, last.recorded_at)


class StateCache:
    """The states of the streams last used, bounded; they are fast-forwarded on load, so a stale one does no harm."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._states: OrderedDict[tuple[str, UUID], Loaded[Any]] = OrderedDict()

    def get(self, decider: Decider[S], stream_id: UUID) -> Loaded[S] | None:
        loaded = self._states.get((decider.name, stream_id))
        if loaded is not None:
            self._states.move_to_end((decider.name, stream_id))
        return loaded

    def put(self, decider: Decider[S], stream_id: UUID, loaded: Loaded[S]) -> None:
        known = self._states.get((decider.name, stream_id))
        if known is not None and known.version > loaded.version:
            return
        self._states[decider.name, stream_id] = loaded
        self._states.move_to_end((decider.name, stream_id))
        while len(self._states) > self._size:
            self._states.popitem(last=False)


def encode_state(state: Any) -> bytes:
    return msgspec.json.encode(state)


def decode_state(decider: Decider[S], data: bytes) -> S:
    return msgspec.json.decode(data, type=decider.state_type)
