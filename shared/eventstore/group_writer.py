"""Group commit: all appends that wait are written in one transaction, and each gets its own result.

One advisory lock per transaction makes commit order equal position order over all processes, so a reader that asks for
`position > last` can't miss a slow writer. The lock is taken once per batch, so it costs little. The transaction is one
call of `append_events_2` (migrations/0005_append_events.sql), so a batch costs one round trip.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg

from shared.backoff import Backoff
from shared.eventstore import arrays
from shared.eventstore.append_queue import AppendQueue
from shared.eventstore.append_statement import (
    APPEND_EVENTS,
    SELECT_FIRST_RESULT,
    Append,
    BatchResult,
    PreparedEvent,
    Row,
    arguments,
)
from shared.eventstore.connections import APPENDS, TRANSIENT_ERRORS, connect, within
from shared.eventstore.epochs import Epochs, WentBack
from shared.eventstore.records import Appended, StoreUnavailable, VersionConflict

BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)
"""The server reached one of its own bounds; the connection is as good as before."""
OVERHEAD = 200
"""Bytes of memory that an event needs besides its data, about: its ids, type and place in the queue."""


class GroupWriter:
    """Writes the waiting appends, batch after batch, over one connection of its own.

    Every append is answered within `give_up_after` seconds, or the caller's own bound: with StoreUnavailable when
    PostgreSQL can't be reached, is silent, or is slower than that. The writer retries: a batch that was not answered
    within `answers_within` seconds is sent again over a new connection. When `max_waiting` appends or `max_bytes` wait,
    further calls of `append` wait for room.
    """

    def __init__(
        self,
        dsn: str,
        *,
        on_commit: Callable[[int], None],
        on_recorded: Callable[[tuple[int, UUID], list[Row]], None] | None = None,
        epochs: Epochs | None = None,
        max_batch: int = 512,
        max_waiting: int = 20_000,
        max_bytes: int = 64 * 1024 * 1024,
        give_up_after: float = 10.0,
        answers_within: float = 5.0,
    ) -> None:
        """`on_commit(position)` and `on_recorded(event before, rows)` are called after each commit."""
        self._dsn, self._on_commit, self._epochs = dsn, on_commit, epochs or Epochs()
        self._on_recorded = on_recorded
        self._give_up_after, self._answers_within = give_up_after, answers_within
        self._queue = AppendQueue(max_batch=max_batch, max_waiting=max_waiting, max_bytes=max_bytes)
        self._connection: psycopg.AsyncConnection | None = None
        self._cursor: psycopg.AsyncCursor[tuple[Any, ...]] | None = None
        """Of `_connection`, for all batches."""
        self._backoff = Backoff("writer", on=TRANSIENT_ERRORS, first=0.05, longest=1.0)
        self.writing = 0
        """Appends in the batch that was sent and is not answered yet."""
        self._busy_since: float | None = None
        self.batches = self.appends = self.conflicts = 0

    async def append(
        self,
        streams: Sequence[tuple[UUID, int, Sequence[PreparedEvent]]],
        metadata: bytes,
        *,
        seconds: float | None = None,
        generation: int | None = None,
    ) -> Appended:
        """Returns when the events are durable. Raises VersionConflict, or StoreUnavailable after `seconds`.

        `generation` is that of `Epochs` at which the state was read that the events were decided on; by default it is
        the present one.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._give_up_after if seconds is None else seconds)
        size = len(metadata) + sum(len(event.data) + OVERHEAD for _, _, events in streams for event in events)
        generation = self._epochs.generation if generation is None else generation
        append = Append(streams, metadata, loop.create_future(), deadline, size, generation)
        if self._queue.is_full:
            try:
                await self._queue.wait_for_room(deadline)
            except TimeoutError:
                raise StoreUnavailable(f"too many appends wait for PostgreSQL: {self._trouble}") from None
        if self._queue.is_closed:
            raise StoreUnavailable("the event store is closed")
        self._queue.put(append)
        timer = loop.call_at(deadline, self._expire, append)
        try:
            return await append.done
        finally:
            timer.cancel()

    def _expire(self, append: Append) -> None:
        error = StoreUnavailable(
            f"PostgreSQL has not answered in time: {self._trouble}", maybe_done=append.is_in_flight
        )
        append.fail(error)

    @property
    def _trouble(self) -> str:
        return self._backoff.error or "it is slow, or silent"

    @property
    def waiting(self) -> int:
        """Appends in the queue, without those of the present batch and those deferred to the next one."""
        return len(self._queue)

    def busy_for(self) -> float:
        """Seconds since the writer began to write the present batch; 0 between batches."""
        return 0.0 if self._busy_since is None else asyncio.get_running_loop().time() - self._busy_since

    async def run(self) -> None:
        """Writes until cancelled; then the appends that are not answered fail with StoreUnavailable."""
        batch: list[Append] = []
        try:
            while True:
                batch = await self._queue.next_batch()
                if batch:
                    self._busy_since = asyncio.get_running_loop().time()
                    await self._write_until_answered(batch)
                    self._busy_since = None
        finally:
            for append in [*batch, *self._queue.close()]:
                append.fail(StoreUnavailable("the event store is closing", maybe_done=append.is_in_flight))
            await self._disconnect()

    async def _write_until_answered(self, batch: list[Append]) -> None:
        """Writes a batch, and again after a lost connection. Idempotent, since the events keep their ids.

        Returns when every append of it is answered, at the latest at its deadline.
        """
        while batch := [append for append in batch if not append.done.done()]:
            try:
                await self._write(batch)
            except TRANSIENT_ERRORS as error:
                if isinstance(error, BUSY):
                    self._fail_those_without_time(batch, error)
                else:
                    await self._disconnect()
                await self._backoff.pause(error)
            except Exception as error:  # noqa: BLE001 - an append that fails must not fail the others
                # A part of the batch is rejected or can't be encoded: written one by one, only that append fails.
                if len(batch) == 1:
                    batch[0].fail(error)
                    return
                for append in batch:
                    await self._write_until_answered([append])
                return
            else:
                self._backoff.reset()

    @staticmethod
    def _fail_those_without_time(batch: list[Append], error: Exception) -> None:
        """Fails the appends whose deadline would pass during another try: now it is certain that nothing was done."""
        soon = asyncio.get_running_loop().time() + (APPENDS.statement or 0)
        for append in batch:
            if append.deadline < soon:
                append.fail(StoreUnavailable(f"PostgreSQL is busy: {error}", maybe_done=append.is_in_flight))

    async def _write(self, batch: list[Append]) -> None:
        connection = await self._connected()
        batch = self._fail_outdated(batch)
        if not batch:
            return
        were_in_flight, self.writing = [append.is_in_flight for append in batch], len(batch)
        try:
            async with within(self._answers_within, connection):
                for append in batch:
                    append.is_in_flight = True
                await self._write_over(connection, batch)
        except psycopg.Error as error:
            if error.sqlstate and not connection.closed:
                # The server rolled this transaction back, so only an append that was sent before may be recorded.
                for append, is_in_flight in zip(batch, were_in_flight, strict=True):
                    append.is_in_flight = is_in_flight
            raise
        finally:
            self.writing = 0

    def _fail_outdated(self, batch: list[Append]) -> list[Append]:
        """Fails the appends that were decided on a state read before the store went back; returns the others."""
        generation = self._epochs.generation
        for append in batch:
            if append.generation != generation:
                append.fail(WentBack(self._epochs.latest.number))
        return [append for append in batch if append.generation == generation]

    async def _write_over(self, connection: psycopg.AsyncConnection, batch: list[Append]) -> None:
        cursor = self._cursor
        assert cursor is not None, "created with the connection"
        await cursor.execute(APPEND_EVENTS, arguments(batch))
        result = BatchResult.of(await cursor.fetchall())
        positions, recorded_at = result.positions, result.recorded_at
        count, last = 0, batch[0]
        for place, append in enumerate(batch, 1):
            if place in result.conflicts:
                self.conflicts += 1
                stream, actual = result.conflicts[place]
                self._queue.note_version(stream, actual)
                expected = next(expected for stream_id, expected, _ in append.streams if stream_id == stream)
                append.fail(VersionConflict(stream, expected, actual))
            elif place not in result.repeated:
                self.appends += 1
                last, versions = append, {}
                for stream, expected, events in append.streams:
                    count += len(events)
                    versions[stream] = expected + len(events)
                    self._queue.note_version(stream, versions[stream])
                append.succeed(Appended(positions[count - 1], versions, recorded_at=recorded_at))
        if positions:  # after the loop, so that the callers of `append` continue before the followers
            self.batches += 1
            if result.before is not None and self._on_recorded is not None:
                self._on_recorded(result.before, result.rows_of(batch))
            self._epochs.trail.note(positions[-1], last.streams[-1][2][-1].event_id)
            self._on_commit(positions[-1])
        for append in [batch[place - 1] for place in result.repeated]:
            first_result = await self._first_result(connection, append)
            self._on_commit(first_result.position)  # this may be our own commit, whose answer was lost
            append.succeed(first_result)

    async def _first_result(self, connection: psycopg.AsyncConnection, append: Append) -> Appended:
        ids = [event.event_id for _, _, events in append.streams for event in events]
        rows = await (await connection.execute(SELECT_FIRST_RESULT, (ids,), binary=True)).fetchall()
        return Appended(max(row[0] for row in rows), {row[1]: row[2] for row in rows}, replayed=True)

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._dsn, "writer", APPENDS, autocommit=True, prepare_threshold=0)
            arrays.register(self._connection)
            self._cursor = self._connection.cursor(binary=True)
            async with within(self._answers_within, self._connection):
                await self._epochs.check(self._connection)
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._connection.close()
            self._connection = None
