"""The event store of one service: append, load, handle a command, read, tail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg

from shared.backoff import Backoff
from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.eventstore.append_statement import PreparedEvent, Row
from shared.eventstore.codec import MAX_METADATA, Codec
from shared.eventstore.connections import PASSING, WORK, connected
from shared.eventstore.decider import Decider, Handled, Loaded, StateCache
from shared.eventstore.epochs import Epoch, Epochs
from shared.eventstore.lease import Leases
from shared.eventstore.migrate import PATIENCE, Schema, migrate
from shared.eventstore.pool import ReadingPool
from shared.eventstore.reading import EventReader
from shared.eventstore.records import (
    Appended,
    Context,
    StoreUnavailable,
    StreamAppend,
    VersionConflict,
    event_id,
)
from shared.eventstore.repeats import came_before, check_same_content, check_same_stream
from shared.eventstore.seal import PLAIN, Seal
from shared.eventstore.snapshots import keep_snapshot
from shared.eventstore.watermarks import HEAD_WATERMARK, Watermarks
from shared.eventstore.writer import GroupWriter
from shared.eventstore.written import note
from shared.stopping import stop

S = TypeVar("S")

SCHEMA = Schema("eventstore", Path(__file__).parent / "migrations")

DECIDES_WITHIN, LEAST_FOR_LOOK_UP, LEAST_FOR_APPEND = 9.0, 0.5, 0.5
"""Seconds: `handle` begins no append after the first; looking up and appending have the others at least.

A read may take 5 more.
"""
EPOCH_WATERMARK = "epoch"
LOOK_EVERY = 30.0
"""Seconds between two checks whether the store went back; each new connection checks it, too."""


class EventStore(EventReader):
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
        super().__init__(codec, pool, watermarks, epochs, cache, seal)
        self.dsn, self.writer, self.leases = dsn, writer, leases
        epochs.on_epoch(self._went_back)
        self._background: set[asyncio.Task[None]] = set()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        """Tasks without which the store does not work: when one of them ends, the process must end, too."""

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
        """Migrates the store's tables to this release, and runs the writer until the block ends.

        `instance` is the name under which operators see this process when it holds a lease.
        """
        await migrate(dsn, SCHEMA)
        watermarks = Watermarks(dsn)
        epochs = Epochs()

        def recorded(before: tuple[int, UUID], rows: list[Row]) -> None:
            store.recent.recorded(before, rows)

        writer = GroupWriter(
            dsn,
            on_commit=lambda position: watermarks.advance(HEAD_WATERMARK, position),
            on_recorded=recorded,
            epochs=epochs,
            max_batch=max_batch,
        )

        async def check_server() -> None:
            async with connected(dsn, "epochs", WORK, autocommit=True) as connection:
                await epochs.check_server(connection)

        await Backoff("epochs", on=(psycopg.errors.ConnectionTimeout,)).call(check_server, timeout=PATIENCE)
        async with ReadingPool(dsn, readers, epochs.check) as pool:
            cache, leases = StateCache(cached_states, cached_bytes), Leases(dsn, instance, watermarks=watermarks)
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
                await stop(*store.tasks.values(), *store.recent.tasks, *store.newer.tasks)
                await asyncio.gather(*store._background, return_exceptions=True)

    # Its lives

    async def begin_epoch(
        self, reason: str, first_position: int, details: Mapping[str, Any], *, after: int = 0
    ) -> Epoch:
        """For the relay, which sees on the broker that the store went back: see `Epochs.begin`."""
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
        """Learns of epochs that other processes begin, and checks the trail also when no connection broke (a proxy)."""

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
        """Also returns the size of the events in bytes."""
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
        await check_same_content(self.pool, context)

    async def handle(
        self,
        decider: Decider[S],
        stream_id: UUID,
        decide: Callable[[S], Sequence[Event]],
        context: Context,
        *,
        expected_version: int | None = None,
        new: bool = False,
        large: bool = False,
        attempts: int = 20,
        look_up: Callable[[Loaded[S]], Awaitable[bool]] | None = None,
    ) -> Handled[S]:
        """Load, decide, append; decides again on the newer state when another command was faster.

        `expected_version` is what the caller has seen (If-Match): another version is Problem VERSION_CONFLICT.
        What this process has seen of the stream last is decided on without reading, since the append finds out whether
        others were faster; a refusal, or nothing to do, is decided again on what is recorded. `new` says that there is
        nothing to read: the id was just made, or this is its stream's first event. `large`: deciding and evolving take
        so long that they are done beside the event loop. `look_up` reads what the decision needs beside the state, and
        lets `decide` know it; it answers False when it found that the state is out of date. What either raises comes
        through.
        Raises ValueError when the command id has been used for another stream, and StoreUnavailable in time for an
        answer within 15 seconds, with what is known of its outcome.
        """
        deadline, moved_to = asyncio.get_running_loop().time() + DECIDES_WITHIN, 0
        if context.repeatable and await came_before(self.pool, stream_id, context):
            return await self._unchanged(decider, stream_id)
        looked_up = partial(_in_time, look_up, deadline)
        for attempt in range(attempts):
            if attempt and asyncio.get_running_loop().time() > deadline:
                raise StoreUnavailable("others were faster for too long: nothing was done")
            generation, state = self.epochs.generation, None
            seen = Loaded(decider.initial, 0) if new and not attempt else self._cache.get(decider, stream_id)
            events = () if large else await _decided_on_trust(decide, seen, moved_to, expected_version, looked_up)
            loaded = seen if seen is not None and events else await self.load(decider, stream_id)
            if not events:
                _expect(loaded, expected_version)
                if not await looked_up(loaded):
                    continue
                decided = await self._decide(decider, decide, loaded.state, large=large)
                events, state = decided
            if not events:
                note(loaded.position)
                return loaded.handled()
            try:
                left = max(deadline - asyncio.get_running_loop().time(), LEAST_FOR_APPEND)
                append = [StreamAppend(stream_id, loaded.version, events)]
                appended, size = await self._append(append, context, left, generation)
            except VersionConflict as conflict:
                moved_to = conflict.actual
                if conflict.actual < conflict.expected:  # the store went back, though no connection broke
                    self._cache.clear()
                continue
            if appended.replayed:
                check_same_stream(context, stream_id in appended.versions)
                return await self._unchanged(decider, stream_id)
            return self._grown(decider, stream_id, loaded, events, appended, size, generation, state)
        raise Problem("VERSION_CONFLICT", f"this was changed by others {attempts} times while we tried: try again")

    async def create(
        self,
        decider: Decider[S],
        stream_id: UUID,
        events: Sequence[Event],
        context: Context,
        *,
        beside: Sequence[StreamAppend] = (),
        generation: int | None = None,
    ) -> Handled[S]:
        """Appends a new stream's first events, and those `beside` them to other streams, all or nothing.

        The same command again answers the stream as it is now, without events. Raises as `append` does.
        """
        generation = self.epochs.generation if generation is None else generation
        appends = [StreamAppend(stream_id, 0, events), *beside]
        appended, size = await self._append(appends, context, None, generation)
        if appended.replayed:
            return await self._unchanged(decider, stream_id)
        nothing = Loaded(decider.initial, 0)
        return self._grown(decider, stream_id, nothing, tuple(events), appended, size, generation)

    def _grown(
        self,
        decider: Decider[S],
        stream_id: UUID,
        before: Loaded[S],
        events: tuple[Event, ...],
        appended: Appended,
        size: int,
        generation: int,
        state: S | None = None,
    ) -> Handled[S]:
        """`state`: what the events have made of the one before, where that has been found out already."""
        after = Loaded(
            self._evolved(decider, before.state, events) if state is None else state,
            appended.versions[stream_id],
            appended.position,
            appended.recorded_at,
            before.size + size,
            before.began_at if before.version else appended.recorded_at,
            before.kept,
        )
        is_due = _is_due(decider.snapshot_every, before, after)
        if is_due:
            after = replace(after, kept=after.version)
        if generation == self.epochs.generation:
            self._cache.put(decider, stream_id, after)
        if is_due:

            def is_true_still() -> bool:
                return generation == self.epochs.generation

            task = asyncio.create_task(
                keep_snapshot(self.pool, decider, stream_id, after, self._seal, still=is_true_still)
            )
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return after.handled(events)

    async def _decide(
        self, decider: Decider[S], decide: Callable[[S], Sequence[Event]], state: S, *, large: bool
    ) -> tuple[tuple[Event, ...], S | None]:
        """What is decided; where that is large, also what it makes of the state, both found out in a thread."""
        if not large:
            return tuple(decide(state)), None

        def decide_and_evolve() -> tuple[tuple[Event, ...], S]:
            events = tuple(decide(state))
            return events, self._evolved(decider, state, events)

        return await asyncio.to_thread(decide_and_evolve)

    def _evolved(self, decider: Decider[S], state: S, events: Sequence[Event]) -> S:
        for event in events:
            state = decider.evolve(state, self.codec.current(event))
        return state

    async def _unchanged(self, decider: Decider[S], stream_id: UUID) -> Handled[S]:
        loaded = await self.load(decider, stream_id)
        note(loaded.position)
        return loaded.handled()


def _expect(loaded: Loaded[S], expected_version: int | None) -> None:
    if expected_version is not None and loaded.version != expected_version:
        raise Problem(
            "VERSION_CONFLICT",
            f"this is at version {loaded.version} now, not at {expected_version}: read it again first",
        )


async def _decided_on_trust(
    decide: Callable[[S], Sequence[Event]],
    seen: Loaded[S] | None,
    moved_to: int,
    expected_version: int | None,
    looked_up: Callable[[Loaded[S]], Awaitable[bool]],
) -> tuple[Event, ...]:
    """What is decided on a state that may be old; nothing where it is known to be old, or is not the expected one.

    Nothing, too, when it is refused: others may have made it possible meanwhile.
    """
    if seen is None or seen.version < moved_to or expected_version not in {None, seen.version}:
        return ()
    if not await looked_up(seen):
        return ()
    try:
        return tuple(decide(seen.state))
    except Exception:  # noqa: BLE001 - it is decided again on what is recorded, and raises then
        return ()


def _is_due(every: int | None, before: Loaded[S], after: Loaded[S]) -> bool:
    """Whether a snapshot is to be kept: after so many events, and when more than those had to be folded just now."""
    if every is None:
        return False
    return after.version // every > before.version // every or after.version - after.kept >= every


async def _in_time(look_up: Callable[[Loaded[S]], Awaitable[bool]] | None, deadline: float, loaded: Loaded[S]) -> bool:
    if look_up is None:
        return True
    try:
        async with asyncio.timeout_at(max(deadline, asyncio.get_running_loop().time() + LEAST_FOR_LOOK_UP)):
            return await look_up(loaded)
    except TimeoutError:
        raise StoreUnavailable("what the decision needs was not read in time: nothing was done") from None
