"""Reading a store: a stream's state, its events, and the sequence of all events; `tail` follows that as it grows."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg

from shared.backoff import Backoff
from shared.contracts.event import Event
from shared.eventstore.append_statement import Row
from shared.eventstore.batches import Batch, EntryBatch, UndecodedBatch, made, passed_on, tag_of, type_of
from shared.eventstore.codec import UNREADABLE, Codec, Unreadable
from shared.eventstore.decider import Decider, Loaded, StateCache, fold
from shared.eventstore.epochs import Epoch, Epochs, WentBack
from shared.eventstore.newer import Known, Newer
from shared.eventstore.pool import ReadingPool
from shared.eventstore.recent import PAGE_BYTES as SHARED_BYTES
from shared.eventstore.recent import Entry, Recent
from shared.eventstore.records import RecordedEvent, StoreUnavailable, UndecodedEvent
from shared.eventstore.seal import PLAIN, Seal
from shared.eventstore.snapshots import read_snapshot
from shared.eventstore.watermarks import HEAD_WATERMARK, Watermarks

S = TypeVar("S")
T = TypeVar("T")

# A page ends with the event that makes it larger than PAGE_BYTES. PostgreSQL does not read the data of the events after
# that one: the sums need only the lengths, which it knows without reading the large values.
SELECT_STREAM = """
select position, event_id, stream_id, version, type, data, metadata, recorded_at from (
  select page.*, sum(octet_length(data) + octet_length(metadata))
    over (order by version rows between unbounded preceding and 1 preceding) as before
  from (select * from events where stream_id = %b and version > %b and version <= %b order by version limit %b) page
) bounded where before is null or before < %b order by version"""
SELECT_SEQUENCE = """
select position, event_id, stream_id, version, type, data, metadata, recorded_at from (
  select page.*, sum(octet_length(data) + octet_length(metadata))
    over (order by position rows between unbounded preceding and 1 preceding) as before
  from (select * from events where position > %b and position <= %b order by position limit %b) page
) bounded where before is null or before < %b order by position"""
SELECT_FIRST_VERSION_LATER = """
select version from events where stream_id = %b and recorded_at > %b order by version limit 1"""
SELECT_HEAD = "select coalesce(max(position), 0) from events"
NO_LIMIT = 2**62
UNKNOWN = "unknown"
"""The aggregate of an event whose type no version of this release's contracts lists."""
PAGE = 1000
"""Events of a stream that are read at once."""
PAGE_BYTES = 8 * 1024 * 1024
"""Bytes after which a page of events ends, full or not."""


class EventReader:
    """The reading half of an event store: it writes nothing to the database."""

    def __init__(
        self,
        codec: Codec,
        pool: ReadingPool,
        watermarks: Watermarks,
        epochs: Epochs,
        cache: StateCache,
        seal: Seal = PLAIN,
    ) -> None:
        self.codec, self.pool, self.watermarks, self.epochs = codec, pool, watermarks, epochs
        self._cache, self._seal = cache, seal
        self.newer = Newer(self._rows)
        self.recent = Recent(self._page, self._entry, watermarks, epochs)

    async def load(self, decider: Decider[S], stream_id: UUID, *, as_of: int | datetime | None = None) -> Loaded[S]:
        """A stream's state, now or `as_of` a version or a time (the last event recorded at or before it)."""
        nothing = Loaded(decider.initial, 0)
        if isinstance(as_of, datetime):
            # Clocks may go back, so times may decrease along a stream; the state is that before the first later event.
            later = await self.pool.rows(SELECT_FIRST_VERSION_LATER, (stream_id, as_of))
            as_of = int(later[0][0]) - 1 if later else NO_LIMIT
        if as_of is not None:
            return await self._fold(decider, nothing, stream_id, as_of)
        while True:
            generation = self.epochs.generation
            start = self._cache.get(decider, stream_id)
            if start is not None:
                newer = await self.newer.than(Known(stream_id, start.version))
                if newer is not None and generation == self.epochs.generation:
                    return self._read_on(decider, stream_id, start, newer[0])
            elif decider.snapshot_every:
                start = await read_snapshot(self.pool, decider, stream_id, self._seal)
            loaded = await self._fold(decider, start or nothing, stream_id)
            if generation != self.epochs.generation:
                continue  # the store went back meanwhile: the state and the events may be of different epochs
            if loaded.version:
                self._cache.put(decider, stream_id, loaded)
            return loaded

    def known(self, decider: Decider[S], stream_id: UUID) -> Loaded[S] | None:
        """A stream's state as this process has seen it last, without asking the database.

        It may be older than what others have recorded: only for what never changes once it is so.
        """
        return self._cache.get(decider, stream_id)

    async def load_both(
        self, decider: Decider[S], stream_id: UUID, other: Decider[T], other_id: UUID
    ) -> tuple[Loaded[S], Loaded[T]]:
        """The states of two streams now; with one query when this process has seen both before."""
        generation = self.epochs.generation
        first, second = self._cache.get(decider, stream_id), self._cache.get(other, other_id)
        if first is not None and second is not None:
            newer = await self.newer.than(Known(stream_id, first.version), Known(other_id, second.version))
            if newer is not None and generation == self.epochs.generation:
                first = self._read_on(decider, stream_id, first, newer[0])
                return first, self._read_on(other, other_id, second, newer[1])
        return await self.load(decider, stream_id), await self.load(other, other_id)

    def _read_on(self, decider: Decider[S], stream_id: UUID, seen: Loaded[S], newer: list[Row]) -> Loaded[S]:
        if not newer:
            return seen
        loaded = fold(decider, seen, [self._recorded(row) for row in newer])
        self._cache.put(decider, stream_id, loaded)
        return loaded

    async def read_stream(
        self,
        stream_id: UUID,
        *,
        after: int = 0,
        to_version: int = NO_LIMIT,
        limit: int | None = None,
        keep_unreadable: bool = False,
    ) -> list[RecordedEvent]:
        """A stream's events in order, those of a greater version than `after`: all of them, or `limit`.

        `keep_unreadable`, here and below, is for operators' commands: an event that can't be decoded is given as
        `Unreadable` instead of raising.
        """
        events: list[RecordedEvent] = []
        async for page in self._pages(stream_id, after, to_version, limit or NO_LIMIT, keep_unreadable=keep_unreadable):
            events += page
        return events

    async def _fold(
        self, decider: Decider[S], loaded: Loaded[S], stream_id: UUID, to_version: int = NO_LIMIT
    ) -> Loaded[S]:
        """Folds page by page, so that memory holds only one page of a long stream."""
        async for page in self._pages(stream_id, loaded.version, to_version):
            loaded = fold(decider, loaded, page)
        return loaded

    async def _pages(
        self, stream_id: UUID, after: int, to_version: int, limit: int = NO_LIMIT, *, keep_unreadable: bool = False
    ) -> AsyncIterator[list[RecordedEvent]]:
        while limit > 0:
            asked = min(limit, PAGE)
            rows = await self._rows(SELECT_STREAM, (stream_id, after, to_version, asked, PAGE_BYTES))
            if rows:
                yield [self._recorded(row, keep_unreadable=keep_unreadable) for row in rows]
            if len(rows) < asked and sum([len(row[5]) + len(row[6]) for row in rows]) < PAGE_BYTES:
                return
            after, limit = rows[-1][3], limit - len(rows)

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
        """The events after `after`: at most `limit` of them, about PAGE_BYTES, and none beyond position `upto`.

        The batch is empty when there are none. `types` are newest tags; events stored in an older version of them are
        found, too. A batch ends before an event that can't be read. When that is its first event, this raises one of
        `UNREADABLE`; UnknownEventType is for a version that a newer release has stored. If it were skipped, everything
        that is derived from the sequence would lack it.
        """
        rows = await self._rows(SELECT_SEQUENCE, (after, upto, limit, PAGE_BYTES))
        events, read = self._all_decoded(rows, types), len(rows)
        if events is None:
            recorded = partial(self._recorded, keep_unreadable=keep_unreadable)
            events, read = made(rows, tag_of, recorded, self.codec.wanted(types) if types is not None else None)
        return Batch(events, rows[read - 1][0] if rows else after, read)

    def _all_decoded(self, rows: list[tuple[Any, ...]], types: frozenset[str] | None) -> list[RecordedEvent] | None:
        """The wanted events; None when they must be looked at one by one, because one can't be decoded or is sealed."""
        if self._seal is not PLAIN:
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

    async def read_undecoded(
        self, after: int, limit: int, types: frozenset[str] | None = None, *, keep_unknown: bool = False
    ) -> UndecodedBatch:
        """As `read_batch`, for readers that pass events on, or that an event which can't be decoded must not stop.

        Raises UnknownEventType as `read_batch` does; with `keep_unknown`, the aggregate of such an event is UNKNOWN.
        """
        rows = await self._rows(SELECT_SEQUENCE, (after, NO_LIMIT, limit, PAGE_BYTES))
        undecoded = partial(self._undecoded, keep_unknown=keep_unknown)
        events, read = made(rows, tag_of, undecoded, self.codec.wanted(types) if types is not None else None)
        return UndecodedBatch(events, rows[read - 1][0] if rows else after, read)

    async def follow(self, after: int, limit: int, types: frozenset[str] | None = None) -> Batch:
        """As `read_batch`, for a follower: near the end of the sequence, all of a process read and decode it once."""
        held = await self.recent.after(after, limit)
        if held is None:
            return await self.read_batch(after, limit, types)
        is_wanted = self.codec.wanted(types) if types is not None else None
        events, read = made(held, type_of, Entry.recorded, is_wanted)
        return Batch(events, held[read - 1].position if read else after, read)

    async def follow_entries(
        self, after: int, limit: int, types: frozenset[str] | None = None, *, event_id: UUID | None = None
    ) -> EntryBatch | None:
        """As `read_undecoded`, for a follower that may have read by itself before: see `Recent.after`.

        None when the event at `after` is not the one with `event_id`, or is not held: the follower reads by itself.
        """
        held = await self.recent.after(after, limit, event_id)
        if held is None:
            return None
        events, read = made(held, type_of, passed_on, self.codec.wanted(types) if types is not None else None)
        return EntryBatch(events, held[read - 1].position if read else after, read)

    async def _page(self, after: int, limit: int) -> tuple[list[Row], bool]:
        rows = await self._rows(SELECT_SEQUENCE, (after, NO_LIMIT, limit, SHARED_BYTES))
        return rows, len(rows) < limit and sum([len(row[5]) + len(row[6]) for row in rows]) >= SHARED_BYTES

    def _entry(self, row: Row) -> Entry:
        return Entry(row, self._recorded, partial(self._undecoded, keep_unknown=False))

    async def _rows(self, query: LiteralString, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Rows of events; the last one is added to the trail of what this process has seen."""
        generation = self.epochs.generation
        rows = await self.pool.rows(query, parameters)
        if rows and generation == self.epochs.generation:
            self.epochs.trail.note(rows[-1][0], rows[-1][1])
        return rows

    async def tail(
        self,
        after: int,
        *,
        limit: int = 1000,
        types: frozenset[str] | None = None,
        keep_unreadable: bool = False,
    ) -> AsyncIterator[Batch]:
        """Batches in position order, without end: after the last event it waits, and is woken by the next append.

        Raises WentBack when the store was restored to a moment before the last event that was handed out.
        """
        backoff, generation = Backoff("tail", on=(StoreUnavailable,)), self.epochs.generation
        while True:
            believed = self.watermarks.value(HEAD_WATERMARK)
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
                if believed > after:  # no such event: the value is from before a restore, and the loop would not wait
                    self.watermarks.lower(HEAD_WATERMARK, after)
                await self.watermarks.wait_beyond(HEAD_WATERMARK, after)

    async def head(self) -> int:
        """Position of the last event; 0 for an empty store."""
        ((position,),) = await self.pool.rows(SELECT_HEAD, ())
        return int(position)

    def _recorded(self, row: tuple[Any, ...], *, keep_unreadable: bool = False) -> RecordedEvent:
        position, event_id, stream_id, version, tag, data, metadata, recorded_at = row
        event: Event
        try:
            data = self._seal.open(data)
            event = self.codec.decode(tag, data)
        except UNREADABLE as error:
            if not keep_unreadable:
                raise
            event = Unreadable(str(error))
        return RecordedEvent(position, event_id, stream_id, version, tag, event, data, metadata, recorded_at)

    def _undecoded(self, row: tuple[Any, ...], *, keep_unknown: bool) -> UndecodedEvent:
        position, event_id, stream_id, version, tag, data, metadata, recorded_at = row
        aggregate = UNKNOWN if keep_unknown and not self.codec.has_aggregate(tag) else self.codec.aggregate(tag)
        data = self._seal.open(data)
        return UndecodedEvent(position, event_id, stream_id, version, tag, data, metadata, recorded_at, aggregate)

    def on_epoch(self, callback: Callable[[Epoch], None]) -> None:
        """Calls `callback` whenever this store is found to have gone back, so that it drops what it remembers of it."""
        self.epochs.on_epoch(callback)

    def epoch_of(self, position: int) -> int:
        """According to the epochs last read: after reading events, `await refresh_epochs()` before calling this."""
        return self.epochs.of(position)

    async def refresh_epochs(self) -> None:
        async with self.pool.connection() as connection:
            await self.epochs.read(connection)

    def reader(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncCursor[tuple[Any, ...]]]:
        """A cursor for one query, on read tables too. Raises StoreUnavailable when PostgreSQL can't be reached."""
        return self.pool.reader()
