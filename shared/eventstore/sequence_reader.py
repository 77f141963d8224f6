"""Reading the sequence of all events in position order: in batches, or following it as it grows."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from shared.backoff import Backoff
from shared.eventstore.append_statement import Row
from shared.eventstore.batches import Batch, HeldBatch, UndecodedBatch
from shared.eventstore.codec import UNREADABLE
from shared.eventstore.epochs import WentBack
from shared.eventstore.event_rows import NO_LIMIT, PAGE_BYTES, EventRows, size_of
from shared.eventstore.recent_events import PAGE_BYTES as RECENT_PAGE_BYTES
from shared.eventstore.recent_events import HeldEvent, RecentEvents
from shared.eventstore.records import RecordedEvent, StoreUnavailable
from shared.eventstore.seal import PLAIN
from shared.eventstore.watermarks import HEAD_WATERMARK, Watermarks

E = TypeVar("E")
T = TypeVar("T")

# %b: sent in binary, which PostgreSQL need not parse; this runs for each page of every follower.
SELECT_SEQUENCE = """
select position, event_id, stream_id, version, type, data, metadata, recorded_at from (
  select page.*, sum(octet_length(data) + octet_length(metadata))
    over (order by position rows between unbounded preceding and 1 preceding) as before
  from (select * from events where position > %b and position <= %b order by position limit %b) page
) bounded where before is null or before < %b order by position"""
SELECT_LAST_POSITION = "select coalesce(max(position), 0) from events"


class SequenceReader:
    """The part of an event store that reads the sequence of all events."""

    def __init__(self, rows: EventRows, watermarks: Watermarks) -> None:
        self._rows, self.pool, self.epochs = rows, rows.pool, rows.epochs
        self.codec, self.watermarks = rows.codec, watermarks
        self.recent = RecentEvents(self._recent_page, self._held_event, watermarks, rows.epochs)

    async def read_all(
        self, after: int = 0, limit: int = 1000, types: frozenset[str] | None = None
    ) -> list[RecordedEvent]:
        """Up to `limit` events of all streams in position order; nothing committed later will appear before them."""
        events: list[RecordedEvent] = []
        while limit > 0:
            batch = await self.read_batch(after, limit, types)
            if not batch.size:
                break
            events += batch.events
            after, limit = batch.position, limit - batch.size
        return events

    async def read_batch(
        self,
        after: int,
        limit: int,
        types: frozenset[str] | None = None,
        *,
        upto: int = NO_LIMIT,
        keep_unreadable: bool = False,
    ) -> Batch:
        """The events after position `after`: at most `limit`, about PAGE_BYTES, and none beyond position `upto`.

        The batch is empty when there are none. `types` are newest tags; events stored in an older version of them are
        included. A batch ends before an event that can't be decoded; when that is its first event, this raises one of
        UNREADABLE, or returns it as `Unreadable` with `keep_unreadable`. UnknownEventType is raised for a version that
        a newer release has stored: if it were skipped, everything derived from the sequence would lack it.
        """
        rows = await self._rows.query(SELECT_SEQUENCE, (after, upto, limit, PAGE_BYTES))
        events, count = self._all_decoded(rows, types), len(rows)
        if events is None:
            recorded = partial(self._rows.recorded, keep_unreadable=keep_unreadable)
            events, count = _until_unreadable(rows, _tag, recorded, self._filter(types))
        return Batch(events, rows[count - 1][0] if rows else after, count)

    def _all_decoded(self, rows: list[Row], types: frozenset[str] | None) -> list[RecordedEvent] | None:
        """The wanted events; None when they must be decoded one by one, because one can't be decoded or is sealed."""
        if self._rows.seal is not PLAIN:
            return None
        decoders = self.codec.decoders(types)
        try:
            return [
                RecordedEvent(position, event_id, stream_id, version, tag, decode(data), data, metadata, recorded_at)
                for position, event_id, stream_id, version, tag, data, metadata, recorded_at in rows
                if (decode := decoders[tag]) is not None
            ]
        except (KeyError, *UNREADABLE):
            return None

    def _filter(self, types: frozenset[str] | None) -> Callable[[str], bool] | None:
        return self.codec.wanted(types) if types is not None else None

    async def read_undecoded(
        self, after: int, limit: int, types: frozenset[str] | None = None, *, keep_unknown: bool = False
    ) -> UndecodedBatch:
        """As `read_batch`, for readers that pass events on, or that must not stop at an event that can't be decoded.

        Raises UnknownEventType as `read_batch` does; with `keep_unknown`, the aggregate of such an event is UNKNOWN.
        """
        rows = await self._rows.query(SELECT_SEQUENCE, (after, NO_LIMIT, limit, PAGE_BYTES))
        undecoded = partial(self._rows.undecoded, keep_unknown=keep_unknown)
        events, count = _until_unreadable(rows, _tag, undecoded, self._filter(types))
        return UndecodedBatch(events, rows[count - 1][0] if rows else after, count)

    async def follow(self, after: int, limit: int, types: frozenset[str] | None = None) -> Batch:
        """As `read_batch`, for a follower: near the end of the sequence, a process reads and decodes an event once."""
        recent = await self.recent.after(after, limit)
        if recent is None:
            return await self.read_batch(after, limit, types)
        events, count = _until_unreadable(recent, _tag_of_held, HeldEvent.recorded, self._filter(types))
        return Batch(events, recent[count - 1].position if count else after, count)

    async def follow_held(
        self, after: int, limit: int, types: frozenset[str] | None = None, *, event_id: UUID | None = None
    ) -> HeldBatch | None:
        """As `follow`, but the follower decodes the events that it needs decoded; each is decoded once per process.

        None when the follower must read by itself: the events after `after` are not in memory, or the event at `after`
        is not the one with `event_id` (if that is given).
        """
        recent = await self.recent.after(after, limit, event_id)
        if recent is None:
            return None
        events, count = _until_unreadable(recent, _tag_of_held, _publishable, self._filter(types))
        return HeldBatch(events, recent[count - 1].position if count else after, count)

    async def _recent_page(self, after: int, limit: int) -> tuple[list[Row], bool]:
        rows = await self._rows.query(SELECT_SEQUENCE, (after, NO_LIMIT, limit, RECENT_PAGE_BYTES))
        return rows, len(rows) < limit and size_of(rows) >= RECENT_PAGE_BYTES

    def _held_event(self, row: Row) -> HeldEvent:
        return HeldEvent(row, self._rows.recorded, self._rows.undecoded)

    async def tail(
        self,
        after: int,
        *,
        limit: int = 1000,
        types: frozenset[str] | None = None,
        keep_unreadable: bool = False,
    ) -> AsyncIterator[Batch]:
        """Batches in position order, without end: after the last event it waits, and is woken by the next append.

        Raises WentBack when the store was restored to a moment before the last event of the last batch.
        """
        backoff, generation = Backoff("tail", on=(StoreUnavailable,)), self.epochs.generation
        while True:
            head = self.watermarks.value(HEAD_WATERMARK)
            read = partial(self.read_batch, after, limit, types, keep_unreadable=keep_unreadable)
            batch = await backoff.call(read)
            if generation != self.epochs.generation:
                if after >= self.epochs.latest.first_position:
                    raise WentBack(self.epochs.latest.number)
                generation = self.epochs.generation
                continue
            if batch.size:
                after = batch.position
                self.watermarks.observe(HEAD_WATERMARK, after)
                yield batch
            else:
                if head > after:  # there is no such event: with a value from before a restore, the loop would not wait
                    self.watermarks.lower(HEAD_WATERMARK, after)
                await self.watermarks.wait_beyond(HEAD_WATERMARK, after)

    async def head(self) -> int:
        """Position of the last event; 0 for an empty store."""
        ((position,),) = await self.pool.rows(SELECT_LAST_POSITION, ())
        return int(position)


def _until_unreadable(
    stored: Sequence[T], tag: Callable[[T], str], convert: Callable[[T], E], is_wanted: Callable[[str], bool] | None
) -> tuple[list[E], int]:
    """Converts the wanted events, up to the first that raises one of UNREADABLE; also returns how many it passed.

    Raises that error when the first event raises it.
    """
    events: list[E] = []
    for place, item in enumerate(stored):
        try:
            if is_wanted is None or is_wanted(tag(item)):
                events.append(convert(item))
        except UNREADABLE:
            if not place:
                raise
            return events, place
    return events, len(stored)


def _tag(row: Row) -> str:
    return str(row[4])


def _tag_of_held(event: HeldEvent) -> str:
    return event.type


def _publishable(event: HeldEvent) -> HeldEvent:
    """Raises UnknownEventType for an event of which the release does not know the aggregate."""
    event.undecoded()
    return event
