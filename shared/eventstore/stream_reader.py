"""Reading single streams: their states, and their events."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from shared.eventstore.append_statement import Row
from shared.eventstore.arrays import uuids
from shared.eventstore.decider import Decider, Loaded, StateCache, fold
from shared.eventstore.event_rows import NO_LIMIT, PAGE_BYTES, EventRows, size_of
from shared.eventstore.newer_events import NewerEvents, StreamVersion
from shared.eventstore.records import RecordedEvent
from shared.eventstore.snapshots import read_snapshot

S = TypeVar("S")
T = TypeVar("T")

# %b: sent in binary, which PostgreSQL need not parse; this runs for most commands and reads of a stream.
SELECT_STREAM = """
select position, event_id, stream_id, version, type, data, metadata, recorded_at from (
  select page.*, sum(octet_length(data) + octet_length(metadata))
    over (order by version rows between unbounded preceding and 1 preceding) as before
  from (select * from events where stream_id = %b and version > %b and version <= %b order by version limit %b) page
) bounded where before is null or before < %b order by version"""
SELECT_FIRST_VERSION_LATER = """
select version from events where stream_id = %b and recorded_at > %b order by version limit 1"""
PAGE = 1000
"""Events of a stream that one query reads."""
MANY, MOST_EACH = 256, 64
"""Streams that one query of `load_many` reads, and events of each; a longer one is read by itself."""
# `lateral` with its limit makes PostgreSQL use the index for each stream, as in newer_events.py.
SELECT_STREAMS = """
select position, event_id, stream_id, version, type, data, metadata, recorded_at from (
  select own.*, place, sum(octet_length(data) + octet_length(metadata))
    over (order by place, version rows between unbounded preceding and 1 preceding) as before
  from unnest(%b::uuid[]) with ordinality as wanted(id, place) cross join lateral (
    select * from events where stream_id = wanted.id order by version limit %b
  ) own
) bounded where before is null or before < %b order by place, version"""


class StreamReader:
    """The part of an event store that reads single streams."""

    def __init__(self, rows: EventRows, cache: StateCache) -> None:
        self._rows, self._cache = rows, cache
        self.pool, self.epochs = rows.pool, rows.epochs
        self.newer = NewerEvents(rows.query)

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
                newer = await self.newer.than(StreamVersion(stream_id, start.version))
                if newer is not None and generation == self.epochs.generation:
                    return self._fold_newer(decider, stream_id, start, newer[0])
            elif decider.snapshot_every:
                start = await read_snapshot(self.pool, decider, stream_id, self._rows.seal)
            loaded = await self._fold(decider, start or nothing, stream_id)
            if generation != self.epochs.generation:
                continue  # the store went back meanwhile: the state and the events may be of different epochs
            if loaded.version:
                self._cache.put(decider, stream_id, loaded)
            return loaded

    async def load_many(self, decider: Decider[S], stream_ids: Sequence[UUID]) -> dict[UUID, Loaded[S]]:
        """The states of many short streams now, by id: a query for MANY of them. The ids must be distinct."""
        states: dict[UUID, Loaded[S]] = {}
        waiting = list(stream_ids)
        while waiting:
            generation, batch = self.epochs.generation, waiting[:MANY]
            rows = await self._rows.query(SELECT_STREAMS, (uuids(batch), MOST_EACH, PAGE_BYTES))
            is_cut, events = size_of(rows) >= PAGE_BYTES, defaultdict[UUID, list[Row]](list)
            for row in rows:
                events[row[2]].append(row)
            if is_cut:  # perhaps in the middle of the last stream, which is the next query's first
                batch = batch[: batch.index(rows[-1][2])]
            for stream_id in batch or waiting[:1]:
                own = events[stream_id]
                if not batch or len(own) == MOST_EACH or generation != self.epochs.generation:
                    states[stream_id] = await self.load(decider, stream_id)
                else:
                    nothing = Loaded(decider.initial, 0)
                    states[stream_id] = fold(decider, nothing, [self._rows.recorded(row) for row in own])
            del waiting[: len(batch) or 1]
        return states

    def cached(self, decider: Decider[S], stream_id: UUID) -> Loaded[S] | None:
        """A stream's state as this process read or wrote it last, without a query; None if it is not in the cache.

        Others may have recorded events since, so use it only for what never changes once it is so.
        """
        return self._cache.get(decider, stream_id)

    async def load_both(
        self, decider: Decider[S], stream_id: UUID, other: Decider[T], other_id: UUID
    ) -> tuple[Loaded[S], Loaded[T]]:
        """The states of two streams now; with one query when both are in the cache."""
        generation = self.epochs.generation
        first, second = self._cache.get(decider, stream_id), self._cache.get(other, other_id)
        if first is not None and second is not None:
            newer = await self.newer.than(
                StreamVersion(stream_id, first.version), StreamVersion(other_id, second.version)
            )
            if newer is not None and generation == self.epochs.generation:
                first = self._fold_newer(decider, stream_id, first, newer[0])
                return first, self._fold_newer(other, other_id, second, newer[1])
        return await self.load(decider, stream_id), await self.load(other, other_id)

    def _fold_newer(self, decider: Decider[S], stream_id: UUID, cached: Loaded[S], newer: list[Row]) -> Loaded[S]:
        if not newer:
            return cached
        loaded = fold(decider, cached, [self._rows.recorded(row) for row in newer])
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
        """A stream's events with a version greater than `after`, in order: all of them, or `limit`.

        Raises one of UNREADABLE for an event that can't be decoded; with `keep_unreadable`, for operators' commands, it
        is returned as `Unreadable`.
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
            page = min(limit, PAGE)
            rows = await self._rows.query(SELECT_STREAM, (stream_id, after, to_version, page, PAGE_BYTES))
            if rows:
                yield [self._rows.recorded(row, keep_unreadable=keep_unreadable) for row in rows]
            if len(rows) < page and size_of(rows) < PAGE_BYTES:
                return
            after, limit = rows[-1][3], limit - len(rows)
