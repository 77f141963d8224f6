"""Parts of the store's sequence of events."""

from dataclasses import dataclass

from shared.eventstore.recent_events import HeldEvent
from shared.eventstore.records import RecordedEvent, UndecodedEvent


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of the store's sequence. `events` are those of the wanted types; `position` is that of its last event."""

    events: list[RecordedEvent]
    position: int
    size: int
    """The number of events of any type in the part."""


@dataclass(frozen=True, slots=True)
class UndecodedBatch:
    """A part of the store's sequence, as it is stored."""

    events: list[UndecodedEvent]
    position: int
    size: int


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """A part of the store's sequence; each event is decoded once, when the first follower needs it decoded."""

    events: list[HeldEvent]
    position: int
    size: int
