"""Parts of the store's sequence, and how they are made of what PostgreSQL gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.eventstore.append_statement import Row
from shared.eventstore.codec import UNREADABLE
from shared.eventstore.recent import Entry
from shared.eventstore.records import RecordedEvent, UndecodedEvent

E = TypeVar("E")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of the store's sequence. `events` are those of the wanted types; `position` is where the part ends."""

    events: list[RecordedEvent]
    position: int
    size: int
    """How many events of any type the part has."""


@dataclass(frozen=True, slots=True)
class UndecodedBatch:
    """A part of the store's sequence, as it is stored."""

    events: list[UndecodedEvent]
    position: int
    size: int


@dataclass(frozen=True, slots=True)
class EntryBatch:
    """A part of the store's sequence as it is stored; what one follower decodes, no other decodes again."""

    events: list[Entry]
    position: int
    size: int


def made(
    stored: Sequence[T], tag: Callable[[T], str], make: Callable[[T], E], is_wanted: Callable[[str], bool] | None
) -> tuple[list[E], int]:
    """Makes those with a wanted tag into events, up to the first that raises; also returns of how many that is."""
    events: list[E] = []
    for place, each in enumerate(stored):
        try:
            if is_wanted is None or is_wanted(tag(each)):
                events.append(make(each))
        except UNREADABLE:
            if not place:
                raise
            return events, place
    return events, len(stored)


def tag_of(row: Row) -> str:
    return str(row[4])


def type_of(entry: Entry) -> str:
    return entry.type


def passed_on(entry: Entry) -> Entry:
    """Raises UnknownEventType for an event that can't be passed on."""
    entry.undecoded()
    return entry
