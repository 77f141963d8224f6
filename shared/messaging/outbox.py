"""The store as the relay reads it: undecoded, in parts bounded in bytes, and checked against what was read before."""

from typing import LiteralString, NamedTuple
from uuid import UUID

from shared.eventstore import EventStore, UndecodedEvent

SELECT_LAST_EVENT_UP_TO: LiteralString = (
    "select position, event_id from events where position <= %b order by position desc limit 1"
)


class Place(NamedTuple):
    """An event of the store; `event_id` is None only for the place before the first one."""

    position: int
    event_id: UUID | None


BEGINNING = Place(0, None)


class HistoryChanged(Exception):  # noqa: N818 - what happened
    """The event that was read last is not where it was: the store went back."""


class Outbox:
    """One service's store, from the relay's side."""

    def __init__(self, store: EventStore, *, limit: int) -> None:
        self._store, self._limit = store, limit

    async def after(self, place: Place) -> list[UndecodedEvent]:
        """The events after `place`, in order. Raises HistoryChanged when the event at `place` is not there any more."""
        if place == BEGINNING:
            return (await self._store.read_undecoded(0, self._limit)).events
        events = (await self._store.read_undecoded(place.position - 1, self._limit + 1)).events
        if not events or Place(events[0].position, events[0].event_id) != place:
            raise HistoryChanged(f"{place.event_id} is not at {place.position} any more")
        if len(events) == 1:
            # Nothing follows; or the page ended at this large event, or before one of a newer release: that raises now.
            return (await self._store.read_undecoded(place.position, self._limit)).events
        return events[1:]

    async def at(self, position: int) -> Place:
        """The last event at or before a position."""
        rows = await self._store.pool.rows(SELECT_LAST_EVENT_UP_TO, (position,))
        return Place(*rows[0]) if rows else BEGINNING

    async def read(self, position: int) -> UndecodedEvent | None:
        """The event at a position."""
        events = (await self._store.read_undecoded(position - 1, 1)).events if position > 0 else []
        return events[0] if events and events[0].position == position else None


def named(event: UndecodedEvent) -> str:
    """The event as logs and operators' commands name it."""
    return f"{event.stored_type} {event.event_id} at {event.position}"
