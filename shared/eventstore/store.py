"""The event store of one service: append, load, handle a command, read, tail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import msgspec
import psycopg

from shared.backoff import Backoff
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem
from shared.eventstore.append_statement import PreparedEvent
from shared.eventstore.codec import MAX_METADATA, UNREADABLE, Codec, Unreadable
from shared.eventstore.connections import PASSING, WORK, connected
from shared.eventstore.decider import Decider, Handled, Loaded, StateCache, fold
from shared.eventstore.epochs import Epoch, Epochs, WentBack
from shared.eventstore.lease import Leases
from shared.eventstore.migrate import Schema, migrate
from shared.eventstore.pool import ReadingPool
from shared.eventstore.records import (
    Appended,
    Context,
    RecordedEvent,
    StoreUnavailable,
    StreamAppend,
    UndecodedEvent,
    VersionConflict,
    decode_context,
    event_id,
)
from shared.eventstore.seal import PLAIN, Seal
from shared.eventstore.snapshots import keep_snapshot, read_snapshot
from shared.eventstore.watermarks import FALLBACK, HEAD_WATERMARK, Watermarks
from shared.eventstore.writer import GroupWriter
from shared.eventstore.written import note
from shared.stopping import stop

S = TypeVar("S")
E = TypeVar("E")

SCHEMA = Schema("eventstore", Path(__file__).parent / "migrations")

DECIDES_WITHIN, LEAST_FOR_APPEND = 9.5, 0.5
"""Seconds of a command: in which its last append begins, and which that has at least. Before it stands a read of 5."""
EPOCH_WATERMARK = "epoch"
LOOK_EVERY = 30.0
"""Seconds between two looks whether the store is still the same, while no connection was made."""

# A page ends with the event that makes it larger than so many bytes. What is beyond is not even fetched from where
# PostgreSQL keeps large values: their length is known without.
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
SELECT_STREAM_ID = "select stream_id from events where event_id = %b"
SELECT_METADATA = "select metadata from events where event_id = %b"
SELECT_HEAD = "select coalesce(max(position), 0) from events"
NO_LIMIT = 2**62
PAGE = 1000
"""Events that are read of a stream at once."""
PAGE_BYTES = 8 * 1024 * 1024
"""Bytes after which a page of events ends, full or not."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A piece of the store's sequence. `events` are those asked for; `position` is where the piece ends."""

    events: list[RecordedEvent]
    position: int
    size: int
    """How many events the piece had, asked for or not."""


@dataclass(frozen=True, slots=True)
class UndecodedBatch:
    """A piece of the store's sequence, as it is stored."""

    events: list[UndecodedEvent]
    position: int
    size: int


class EventStore:
    """One per process and database; open it with `EventStore.open`."""

    def __init__(
        self,
        dsn: str,
        codec: Codec,
        pool: ReadingPool,
        writer: GroupWriter,
        watermarks: Watermarks,
        cache: StateCache,
        epochs: Epochs,
        leases: Leases,
        seal: Seal = PLAIN,
    ) -> None:
        self.dsn, self.codec, self.pool, self.writer, self.watermarks = dsn, codec, pool, writer, watermarks
        self._cache, self._seal, self.epochs, self.leases = cache, seal, epochs, leases
        epochs.on_epoch(self._went_back)
        self._background: set[asyncio.Task[None]] = set()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        """Without which the store does not work: whoever opened it ends when one of them does."""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        dsn: str,
        codec: Codec,
        *,
        seal: Seal = PLAIN,
        max_batch: int = 512,
        cached_states: int = 10_000,
        cached_bytes: int = 64 * 1024 * 1024,
        readers: int = 8,
        instance: str = "",
    ) -> "AsyncIterator[EventStore]":
        """Brings its tables up to this release, and runs its writer until the block ends.

        `instance` is what operators see of this process where it leads.
        """
        await migrate(dsn, SCHEMA)
        watermarks = Watermarks(dsn)
        epochs = Epochs()
        writer = GroupWriter(
            dsn,
            on_commit=lambda position: watermarks.advance(HEAD_WATERMARK, position),
            epochs=epochs,
            max_batch=max_batch,
        )
        async with connected(dsn, "epochs", WORK, autocommit=True) as connection:
            await epochs.check_server(connection)
        async with ReadingPool(dsn, readers, epochs.check) as pool:
            cache, leases = StateCache(cached_states, cached_bytes), Leases(dsn, instance)
            store = cls(dsn, codec, pool, writer, watermarks, cache, epochs, leases, seal)
            store.tasks = {
                "writer": asyncio.create_task(writer.run()),
                "watermarks": asyncio.create_task(watermarks.run()),
                "epochs": asyncio.create_task(store._follow_epochs()),
                "leases": asyncio.create_task(leases.run()),
            }
            try:
                yield store
            finally:
                await stop(*store.tasks.values())
                await asyncio.gather(*store._background, return_exceptions=True)

    # Its lives

    def on_epoch(self, callback: Callable[[Epoch], None]) -> None:
        """Calls it whenever this store is found to have gone back: to drop what is held in memory of it."""
        self.epochs.on_epoch(callback)

    def epoch_of(self, position: int) -> int:
        """As last read: `await refresh_epochs()` after events were read, and before their epoch is relied on."""
        return self.epochs.of(position)

    async def refresh_epochs(self) -> None:
        async with self.pool.connection() as connection:
            await self.epochs.read(connection)

    async def begin_epoch(
        self, reason: str, first_position: int, details: Mapping[str, Any], *, after: int = 0
    ) -> Epoch:
        """For who sees from outside that the store went back: see `Epochs.begin`."""
        async with self.pool.connection() as connection:
            epoch = await self.epochs.begin(connection, reason, first_position, details, after=after)
        self.watermarks.advance(EPOCH_WATERMARK, epoch.number)
        return epoch

    def _went_back(self, epoch: Epoch) -> None:
        self._cache.clear()
        self.watermarks.forget()
        self.leases.lose_all()
        self.watermarks.advance(EPOCH_WATERMARK, epoch.number)

    async def _follow_epochs(self) -> None:
        """Hears of those that others begin, and looks for what was seen where no connection broke (a proxy's)."""

        async def look() -> None:
            await self.watermarks.wait_beyond(EPOCH_WATERMARK, self.epochs.latest.number, LOOK_EVERY)
            async with self.pool.connection() as connection:
                await self.epochs.check(connection)
                await self.epochs.read(connection)

        await Backoff("epochs", on=PASSING).forever(look)

    # Writing

    async def append(
        self,
        appends: Sequence[StreamAppend],
        context: Context,
        *,
        seconds: float | None = None,
        generation: int | None = None,
    ) -> Appended:
        """Appends to one or several streams at once, all or nothing, durable when it returns.

        The same command id again writes nothing and returns the first result, `replayed`, with the streams that it
        wrote to then. Raises VersionConflict, StoreUnavailable (after `seconds`, or the writer's own bound, at the
        latest), and Problem as `refuse_reuse` does. `generation`: see `GroupWriter.append`.
        """
        return (await self._append(appends, context, seconds, generation))[0]

    async def _append(
        self, appends: Sequence[StreamAppend], context: Context, seconds: float | None, generation: int | None
    ) -> tuple[Appended, int]:
        """Also says how many bytes the events have."""
        index = size = 0
        streams = []
        for each in appends:
            prepared = []
            for event in each.events:
                tag, data = self.codec.encode(event)
                prepared.append(PreparedEvent(event_id(context.command_id, index), tag, self._seal.close(data)))
                index += 1
                size += len(data)
            if prepared:
                streams.append((each.stream_id, each.expected_version, prepared))
        if not streams:
            raise ValueError("an append needs at least one event")
        if len({stream for stream, _, _ in streams}) < len(streams):
            raise ValueError("an append names each stream once, with all of its events")
        metadata = msgspec.json.encode(context)
        if len(metadata) > MAX_METADATA:
            raise Problem("PAYLOAD_TOO_LARGE", f"the command's context has {len(metadata):,} of {MAX_METADATA:,} bytes")
        appended = await self.writer.append(streams, metadata, seconds=seconds, generation=generation)
        if appended.replayed:
            await self.refuse_reuse(context)
        note(appended.position)
        return appended, size

    async def refuse_reuse(self, context: Context) -> None:
        """Raises Problem IDEMPOTENCY_KEY_REUSED when the command id was recorded for a request of another content."""
        if context.fingerprint is None:
            return
        for (metadata,) in await self.pool.rows(SELECT_METADATA, (event_id(context.command_id, 0),)):
            first = decode_context(metadata)
            if first.fingerprint not in {None, context.fingerprint}:
                message = "was used for another request"
                raise Problem(
                    "IDEMPOTENCY_KEY_REUSED",
                    f"This Idempotency-Key {message}: give each request a key of its own",
                    Detail("header:Idempotency-Key", message),
                )

    async def handle(
        self,
        decider: Decider[S],
        stream_id: UUID,
        decide: Callable[[S], Sequence[Event]],
        context: Context,
        *,
        expected_version: int | None = None,
        new: bool = False,
        attempts: int = 20,
    ) -> Handled[S]:
        """Load, decide, append; decides again on the newer state when another command was faster.

        `expected_version` is what the caller has seen (If-Match): another version is Problem VERSION_CONFLICT.
        `new` says that the id was just made, so nothing is read first. What `decide` raises comes through.
        Raises ValueError when the command id has been used for another stream, and StoreUnavailable in time for an
        answer within 15 seconds, with what is known of its outcome.
        """
        deadline = asyncio.get_running_loop().time() + DECIDES_WITHIN
        if context.repeatable and await self._came_before(stream_id, context):
            return await self._unchanged(decider, stream_id)
        for attempt in range(attempts):
            generation = self.epochs.generation
            loaded = Loaded(decider.initial, 0) if new and not attempt else await self.load(decider, stream_id)
            if expected_version is not None and loaded.version != expected_version:
                raise Problem(
                    "VERSION_CONFLICT",
                    f"this is at version {loaded.version} now, not at {expected_version}: read it again first",
                )
            events = tuple(decide(loaded.state))
            if not events:
                note(loaded.position)
                return Handled(loaded.state, loaded.version, loaded.position)
            try:
                left = max(deadline - asyncio.get_running_loop().time(), LEAST_FOR_APPEND)
                append = [StreamAppend(stream_id, loaded.version, events)]
                appended, size = await self._append(append, context, left, generation)
            except VersionConflict as conflict:
                if conflict.actual < conflict.expected:  # no connection broke, and yet the store went back
                    self._cache.clear()
                if asyncio.get_running_loop().time() > deadline:
                    raise StoreUnavailable("others were faster for too long: nothing was done") from None
                continue
            if appended.replayed:
                _same_stream(context, stream_id in appended.versions)
                return await self._unchanged(decider, stream_id)
            return self._grown(decider, stream_id, loaded, events, appended, size, generation)
        raise Problem("VERSION_CONFLICT", f"this was changed by others {attempts} times while we tried: try again")

    def _grown(
        self,
        decider: Decider[S],
        stream_id: UUID,
        before: Loaded[S],
        events: tuple[Event, ...],
        appended: Appended,
        size: int,
        generation: int,
    ) -> Handled[S]:
        state = before.state
        for event in events:
            state = decider.evolve(state, self.codec.current(event))
        after = Loaded(state, appended.versions[stream_id], appended.position, size=before.size + size)
        if generation == self.epochs.generation:
            self._cache.put(decider, stream_id, after)
        every = decider.snapshot_every
        if every and after.version // every > before.version // every:

            def is_true_still() -> bool:
                return generation == self.epochs.generation

            task = asyncio.create_task(
                keep_snapshot(self.pool, decider, stream_id, after, self._seal, still=is_true_still)
            )
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return Handled(state, after.version, after.position, events)

    async def _came_before(self, stream_id: UUID, context: Context) -> bool:
        """Whether this command has been recorded. One that had nothing to do leaves no trace, and may be done now."""
        rows = await self.pool.rows(SELECT_STREAM_ID, (event_id(context.command_id, 0),))
        _same_stream(context, all(row[0] == stream_id for row in rows))
        return bool(rows)

    async def _unchanged(self, decider: Decider[S], stream_id: UUID) -> Handled[S]:
        loaded = await self.load(decider, stream_id)
        note(loaded.position)
        return Handled(loaded.state, loaded.version, loaded.position)

    # Reading

    async def load(self, decider: Decider[S], stream_id: UUID, *, as_of: int | datetime | None = None) -> Loaded[S]:
        """A stream's state, now or `as_of` a version or a time (the last event recorded at or before it)."""
        nothing = Loaded(decider.initial, 0)
        if isinstance(as_of, datetime):
            # Up to the first event that is later: clocks may go back, and a state has no holes.
            later = await self.pool.rows(SELECT_FIRST_VERSION_LATER, (stream_id, as_of))
            as_of = int(later[0][0]) - 1 if later else NO_LIMIT
        if as_of is not None:
            return await self._fold(decider, nothing, stream_id, as_of)
        while True:
            generation = self.epochs.generation
            start = self._cache.get(decider, stream_id)
            if start is None and decider.snapshot_every:
                start = await read_snapshot(self.pool, decider, stream_id, self._seal)
            loaded = await self._fold(decider, start or nothing, stream_id)
            if generation != self.epochs.generation:
                continue  # the store went back meanwhile: one life's state, another life's events
            if loaded.version:
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

        `keep_unreadable`, here and in other questions, is for people who look: what can't be decoded is `Unreadable`.
        """
        events: list[RecordedEvent] = []
        async for page in self._pages(stream_id, after, to_version, limit or NO_LIMIT, keep_unreadable=keep_unreadable):
            events += page
        return events

    async def _fold(
        self, decider: Decider[S], loaded: Loaded[S], stream_id: UUID, to_version: int = NO_LIMIT
    ) -> Loaded[S]:
        """Page after page: of a long stream, only its state and one page are held."""
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
        """The next piece of the sequence, of `limit` events and about PAGE_BYTES at most, not beyond position `upto`.

        It is empty when nothing comes after `after`.
        `types` are today's; events stored under an older version of one of them are found, too. Raises UnknownEventType
        for one stored by a newer release, under a later version than this one knows: passed over, it would be missing
        for ever in whatever is made of the others. A piece ends before an event that can't be read; it raises (also
        msgspec's DecodeError) when that is the first one.
        """
        rows = await self._rows(SELECT_SEQUENCE, (after, upto, limit, PAGE_BYTES))
        recorded = partial(self._recorded, keep_unreadable=keep_unreadable)
        events, read = _made(rows, recorded, self.codec.wanted(types) if types is not None else None)
        return Batch(events, rows[read - 1][0] if rows else after, read)

    async def read_undecoded(self, after: int, limit: int, types: frozenset[str] | None = None) -> UndecodedBatch:
        """As `read_batch`, for who passes events on, or must not be stopped by one that can't be decoded.

        Raises UnknownEventType for a newer release's event, too.
        """
        rows = await self._rows(SELECT_SEQUENCE, (after, NO_LIMIT, limit, PAGE_BYTES))
        events, read = _made(rows, self._undecoded, self.codec.wanted(types) if types is not None else None)
        return UndecodedBatch(events, rows[read - 1][0] if rows else after, read)

    async def _rows(self, query: LiteralString, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Events' rows; the last one is remembered as seen."""
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
        """Batches for ever, in position order; waits when it has seen everything, and is woken at once.

        Raises WentBack when the store was put back to before what has been handed out.
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
                if believed > after:  # it is not there, so the number is of another life, and would have us spin
                    self.watermarks.lower(HEAD_WATERMARK, after)
                await self.watermarks.wait_beyond(HEAD_WATERMARK, after, FALLBACK)

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

    def _undecoded(self, row: tuple[Any, ...]) -> UndecodedEvent:
        position, event_id, stream_id, version, tag, data, metadata, recorded_at = row
        data, aggregate = self._seal.open(data), self.codec.aggregate(tag)
        return UndecodedEvent(position, event_id, stream_id, version, tag, data, metadata, recorded_at, aggregate)

    def reader(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncCursor[tuple[Any, ...]]]:
        """A cursor for one query, on read tables too. Raises StoreUnavailable when PostgreSQL can't be reached."""
        return self.pool.reader()


def _same_stream(context: Context, same: bool) -> None:  # noqa: FBT001
    if not same:
        raise ValueError(f"command {context.command_id} was another stream's: each needs an id of its own")


def _made(
    rows: list[tuple[Any, ...]], make: Callable[[tuple[Any, ...]], E], is_wanted: Callable[[str], bool] | None
) -> tuple[list[E], int]:
    """What is made of the rows that are wanted, up to the first one that raises; and how many rows that were."""
    events: list[E] = []
    for place, row in enumerate(rows):
        try:
            if is_wanted is None or is_wanted(row[4]):
                events.append(make(row))
        except UNREADABLE:
            if not place:
                raise
            return events, place
    return events, len(rows)
