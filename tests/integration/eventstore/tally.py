"""A small aggregate for the tests of the core: a tally that is opened, counted up and closed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar
from uuid import UUID, uuid4

import msgspec

from shared.contracts.event import Event
from shared.eventstore import Codec, Context, Decider, StreamAppend


class TallyEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "tally"


class Opened(TallyEvent, frozen=True, tag="tally_opened.v1"):
    name: str


class Counted(TallyEvent, frozen=True, tag="tally_counted.v1"):
    by: int


class Closed(TallyEvent, frozen=True, tag="tally_closed.v1"):
    pass


class Tally(msgspec.Struct, frozen=True):
    name: str = ""
    total: int = 0
    changes: int = 0
    closed: bool = False


def evolve(tally: Tally, event: Event) -> Tally:
    changed = msgspec.structs.replace(tally, changes=tally.changes + 1)
    match event:
        case Opened(name=name):
            return msgspec.structs.replace(changed, name=name)
        case Counted(by=by):
            return msgspec.structs.replace(changed, total=tally.total + by)
        case Closed():
            return msgspec.structs.replace(changed, closed=True)
    raise AssertionError(f"a tally knows nothing of {event}")


TALLY = Decider("tally", Tally(), evolve, Tally)
SNAPSHOT_TALLY = replace(TALLY, snapshot_every=3)
EVENTS = (Opened, Counted, Closed)
CODEC = Codec(EVENTS)


def context(command_id: UUID | None = None, *, repeatable: bool = False) -> Context:
    return Context(command_id or uuid4(), "user:test", repeatable=repeatable)


def counted(stream_id: UUID, expected_version: int, *amounts: int) -> list[StreamAppend]:
    return [StreamAppend(stream_id, expected_version, [Counted(by) for by in amounts])]


def count(by: int) -> Callable[[Tally], Sequence[Event]]:
    return lambda _: [Counted(by)]
