"""Writing streams: append events, or handle a command (load, decide, append)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.eventstore.append_statement import PreparedEvent
from shared.eventstore.codec import MAX_METADATA
from shared.eventstore.decider import Decider, Handled, Loaded, StateCache
from shared.eventstore.deciding import (
    DECIDE_WITHIN,
    check_version,
    decide_on_cached,
    look_up_in_time,
    seconds_to_append,
)
from shared.eventstore.event_rows import EventRows
from shared.eventstore.group_writer import GroupWriter
from shared.eventstore.records import (
    Appended,
    Context,
    StoreUnavailable,
    StreamAppend,
    VersionConflict,
    event_id,
)
from shared.eventstore.repeated_commands import check_same_content, check_same_stream, is_recorded
from shared.eventstore.snapshots import is_snapshot_due, store_snapshot
from shared.eventstore.stream_reader import StreamReader
from shared.eventstore.write_position import note

S = TypeVar("S")


class StreamWriter(StreamReader):
    """The part of an event store that writes streams."""

    def __init__(self, rows: EventRows, cache: StateCache, writer: GroupWriter) -> None:
        super().__init__(rows, cache)
        self.writer = writer
        self._snapshots: set[asyncio.Task[None]] = set()

    async def append(
        self,
        appends: Sequence[StreamAppend],
        context: Context,
        *,
        seconds: float | None = None,
        generation: int | None = None,
    ) -> Appended:
        """Appends to one or several streams at once, all or nothing, durable when it returns.

        Idempotent: a repeated command id writes nothing and returns the first result, `replayed`, with the streams that
        were written then. Raises VersionConflict, StoreUnavailable (after `seconds`, or the writer's own bound, at the
        latest), and Problem as `refuse_reuse` does. `generation`: see `GroupWriter.append`.
        """
        return (await self._append(appends, context, seconds, generation))[0]

    async def _append(
        self, appends: Sequence[StreamAppend], context: Context, seconds: float | None, generation: int | None
    ) -> tuple[Appended, int]:
        """Also returns the size of the events in bytes."""
        index = size = 0
        streams = []
        for append in appends:
            prepared = []
            for event in append.events:
                tag, data = self._rows.codec.encode(event)
                prepared.append(PreparedEvent(event_id(context.command_id, index), tag, self._rows.seal.close(data)))
                index += 1
                size += len(data)
            if prepared:
                streams.append((append.stream_id, append.expected_version, prepared))
        if not streams:
            raise ValueError("an append needs at least one event")
        if len({stream for stream, _, _ in streams}) < len(streams):
            raise ValueError("an append must have one entry per stream, with all of its events")
        metadata = msgspec.json.encode(context)
        if len(metadata) > MAX_METADATA:
            raise Problem(
                "PAYLOAD_TOO_LARGE",
                f"the command's context has {len(metadata):,} bytes; at most {MAX_METADATA:,} are accepted",
            )
        appended = await self.writer.append(streams, metadata, seconds=seconds, generation=generation)
        if appended.replayed:
            await self.refuse_reuse(context)
        note(appended.position)
        return appended, size

    async def is_handled(self, stream_id: UUID, context: Context) -> bool:
        """Whether this command is repeatable, and has recorded events in the stream. Raises ValueError if elsewhere."""
        return context.repeatable and await is_recorded(self.pool, stream_id, context)

    async def refuse_reuse(self, context: Context) -> None:
        """Raises Problem IDEMPOTENCY_KEY_REUSED when the command id was recorded for a request with other content."""
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
        basis: Loaded[S] | None = None,
        large: bool = False,
        attempts: int = 20,
        look_up: Callable[[Loaded[S]], Awaitable[bool]] | None = None,
    ) -> Handled[S]:
        """Loads, decides and appends; after a version conflict, decides again on the newer state.

        The first attempt decides on the cached state without a query, because the append detects that it is outdated.
        If it is refused or decides on no events, it is repeated on the state that is recorded. A repeatable command is
        not refused because of its own events, which another replica may record while this one decides.

        - `expected_version`: the version that the caller has read (If-Match); another one is Problem VERSION_CONFLICT.
        - `new`: the stream does not exist, so nothing is read: its id was just generated, or this is its first event.
        - `basis`: the state that the caller has just read; the first attempt decides on it, as on a cached one.
        - `large`: deciding and evolving take so long that they run in a thread, not on the event loop.
        - `look_up` reads what the decision needs besides the state; it returns False if it found the state outdated.

        Raises what `look_up` and `decide` raise, ValueError when the command id was used for another stream, Problem
        VERSION_CONFLICT after `attempts` attempts, and StoreUnavailable within 15 seconds; see its `maybe_done`.
        """
        if await self.is_handled(stream_id, context):
            return await self._unchanged(decider, stream_id)
        first = basis or (Loaded(decider.initial, 0) if new else None)
        deadline = asyncio.get_running_loop().time() + DECIDE_WITHIN
        looked_up = partial(look_up_in_time, look_up, deadline)
        try:
            return await self._handle_new(
                decider, stream_id, decide, context, expected_version, first, attempts, looked_up, deadline, large=large
            )
        except Problem:
            if await self.is_handled(stream_id, context):
                return await self._unchanged(decider, stream_id)
            raise

    async def _handle_new(
        self,
        decider: Decider[S],
        stream_id: UUID,
        decide: Callable[[S], Sequence[Event]],
        context: Context,
        expected_version: int | None,
        first: Loaded[S] | None,
        attempts: int,
        look_up: Callable[[Loaded[S]], Awaitable[bool]],
        deadline: float,
        *,
        large: bool,
    ) -> Handled[S]:
        """`first`: the state that the first attempt decides on; None for the cached one."""
        newest = 0
        for attempt in range(attempts):
            if attempt and asyncio.get_running_loop().time() > deadline:
                raise StoreUnavailable("version conflicts for too long: nothing was done")
            generation, state = self.epochs.generation, None
            cached = first if first is not None and not attempt else self._cache.get(decider, stream_id)
            is_usable = not large and cached is not None and cached.version >= newest
            events = await decide_on_cached(decide, cached, expected_version, look_up) if is_usable else ()
            loaded = cached if cached is not None and events else await self.load(decider, stream_id)
            if not events:
                check_version(loaded, expected_version)
                if not await look_up(loaded):
                    continue
                decision = await self._decide(decider, decide, loaded.state, large=large)
                events, state = decision
            if not events:
                note(loaded.position)
                return loaded.handled()
            try:
                append = [StreamAppend(stream_id, loaded.version, events)]
                appended, size = await self._append(append, context, seconds_to_append(deadline), generation)
            except VersionConflict as conflict:
                newest = conflict.actual
                if conflict.actual < conflict.expected:  # the store went back, though no connection broke
                    self._cache.clear()
                continue
            if appended.replayed:
                check_same_stream(context, same=stream_id in appended.versions)
                return await self._unchanged(decider, stream_id)
            return self._after_append(decider, stream_id, loaded, events, appended, size, generation, state)
        raise Problem("VERSION_CONFLICT", f"others changed this {attempts} times during this request: try again")

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

        Idempotent: a repeated command returns the stream's present state, without events. Raises as `append` does.
        """
        generation = self.epochs.generation if generation is None else generation
        appends = [StreamAppend(stream_id, 0, events), *beside]
        appended, size = await self._append(appends, context, None, generation)
        if appended.replayed:
            return await self._unchanged(decider, stream_id)
        nothing = Loaded(decider.initial, 0)
        return self._after_append(decider, stream_id, nothing, tuple(events), appended, size, generation)

    def _after_append(
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
        """Caches the state after the events, and stores a snapshot if one is due. `state`: that state, if computed."""
        after = Loaded(
            self._evolve(decider, before.state, events) if state is None else state,
            appended.versions[stream_id],
            appended.position,
            appended.recorded_at,
            before.size + size,
            before.began_at if before.version else appended.recorded_at,
            before.snapshot_version,
        )
        is_due = is_snapshot_due(decider.snapshot_every, before, after)
        if is_due:
            after = replace(after, snapshot_version=after.version)
        if generation == self.epochs.generation:
            self._cache.put(decider, stream_id, after)
        if is_due:
            is_same_generation = partial(self._is_generation, generation)
            task = asyncio.create_task(
                store_snapshot(self.pool, decider, stream_id, after, self._rows.seal, is_valid=is_same_generation)
            )
            self._snapshots.add(task)
            task.add_done_callback(self._snapshots.discard)
        return after.handled(events)

    def _is_generation(self, generation: int) -> bool:
        return generation == self.epochs.generation

    async def _decide(
        self, decider: Decider[S], decide: Callable[[S], Sequence[Event]], state: S, *, large: bool
    ) -> tuple[tuple[Event, ...], S | None]:
        """The events; if `large`, also the state after them, both computed in a thread."""
        if not large:
            return tuple(decide(state)), None

        def decide_and_evolve() -> tuple[tuple[Event, ...], S]:
            events = tuple(decide(state))
            return events, self._evolve(decider, state, events)

        return await asyncio.to_thread(decide_and_evolve)

    def _evolve(self, decider: Decider[S], state: S, events: Sequence[Event]) -> S:
        for event in events:
            state = decider.evolve(state, self._rows.codec.current(event))
        return state

    async def _unchanged(self, decider: Decider[S], stream_id: UUID) -> Handled[S]:
        loaded = await self.load(decider, stream_id)
        note(loaded.position)
        return loaded.handled()
