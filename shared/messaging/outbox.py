"""The store as the relay reads it: undecoded, in parts bounded in bytes, and checked against what was read before."""

import time
from typing import LiteralString, NamedTuple
from uuid import UUID

import msgspec

from shared.eventstore import EventStore, UndecodedEvent, UnknownEventType

SELECT_LAST_EVENT_UP_TO: LiteralString = (
    "select position, event_id from events where position <= %s order by position desc limit 1"
)
SELECT_TYPES_OF_STREAM: LiteralString = "select type from events where stream_id = %s order by version limit 10"


class Place(NamedTuple):
    """An event of the store; `event_id` is None only for the place before the first one."""

    position: int
    event_id: UUID | None


BEGINNING = Place(0, None)


class HistoryChanged(Exception):  # noqa: N818 - what happened
    """The event that was read last is not where it was: the store went back."""


class Outbox:
    """One service's store, from the relay's side."""

    def __init__(self, store: EventStore, *, limit: int, unknown_patience: float) -> None:
        self._store, self._limit, self._unknown_patience = store, limit, unknown_patience
        self._unknown: dict[str, float] = {}
        """Types that this release does not know, and the monotonic time at which each was first read."""

    async def after(self, place: Place) -> list[UndecodedEvent]:
        """The events after `place`, in order. Raises HistoryChanged when the event at `place` is not there any more.

        Raises UnknownEventType at an event of a type that no version of this release's contracts lists, so that a
        replica of the release that knows it gets to lead. After `unknown_patience` seconds its events are returned.
        """
        try:
            return await self._known_after(place)
        except UnknownEventType as error:
            now = time.monotonic()
            if now - self._unknown.setdefault(error.tag, now) <= self._unknown_patience:
                raise
            return await self._unknown_after(place)

    async def _known_after(self, place: Place) -> list[UndecodedEvent]:
        recent = await self._store.follow_held(place.position, self._limit, event_id=place.event_id)
        if recent is not None:
            return [entry.undecoded() for entry in recent.events]
        if place == BEGINNING:
            return (await self._store.read_undecoded(0, self._limit)).events
        events = (await self._store.read_undecoded(place.position - 1, self._limit + 1)).events
        if not events or Place(events[0].position, events[0].event_id) != place:
            raise HistoryChanged(f"{place.event_id} is not at {place.position} any more")
        if len(events) == 1:
            # Nothing follows; or the page ended at this large event, or before one of a newer release: that raises now.
            return (await self._store.read_undecoded(place.position, self._limit)).events
        return events[1:]

    async def _unknown_after(self, place: Place) -> list[UndecodedEvent]:
        """The event after `place`, with the aggregate of its stream's other events."""
        events = (await self._store.read_undecoded(place.position, 1, keep_unknown=True)).events
        return [msgspec.structs.replace(event, aggregate=await self._aggregate_of(event)) for event in events]

    async def _aggregate_of(self, event: UndecodedEvent) -> str:
        """The aggregate of the known types of its stream; UNKNOWN if there is none."""
        codec = self._store.codec
        tags = [tag for (tag,) in await self._store.pool.rows(SELECT_TYPES_OF_STREAM, (event.stream_id,))]
        return next((codec.aggregate(tag) for tag in tags if codec.has_aggregate(tag)), event.aggregate)

    async def at(self, position: int) -> Place:
        """The last event at or before a position."""
        rows = await self._store.pool.rows(SELECT_LAST_EVENT_UP_TO, (position,))
        return Place(*rows[0]) if rows else BEGINNING

    async def read(self, position: int) -> UndecodedEvent | None:
        """The event at a position, of any type; None if there is none."""
        if position <= 0:
            return None
        events = (await self._store.read_undecoded(position - 1, 1, keep_unknown=True)).events
        return events[0] if events and events[0].position == position else None


def describe(event: UndecodedEvent) -> str:
    """The event's type, id and position, for logs and operators' commands."""
    return f"{event.stored_type} {event.event_id} at {event.position}"
