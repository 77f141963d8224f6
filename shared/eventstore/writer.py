"""Group commit: every append that is waiting goes into one transaction, and each is told its own result.

One advisory lock per transaction makes commit order equal position order over all processes, so a reader that asks for
`position > last` can't miss a slow writer. The lock is taken per batch, which makes it cheap. The transaction is one
call of `append_events` (migrations/0001_store.sql), so a batch costs one round trip.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from shared.eventstore import arrays
from shared.eventstore.arrays import BinaryArray, byteas, int4s, int8s, texts, uuids
from shared.eventstore.records import Appended, StoreUnavailable, VersionConflict

APPEND_LOCK = 0x656D70726F7073
"""The advisory lock of appends ("emprops"), as in `append_events`; advisory locks belong to one database each."""

APPEND = """
select append, position, repeated, stream_id, actual from append_events(
  %b::int4[], %b::uuid[], %b::int8[], %b::uuid[], %b::bytea[],
  %b::int4[], %b::uuid[], %b::uuid[], %b::int8[], %b::text[], %b::bytea[])"""
FIRST_RESULT = """
select max(position), stream_id, max(version) from events where event_id = any(%b::uuid[]) group by stream_id"""

PASSING = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction, OSError)
"""What another try over a new connection may find gone: no server, one that starts or stops, a standby."""


@dataclass(slots=True)
class PreparedEvent:
    event_id: UUID
    type: str
    data: bytes


@dataclass(slots=True)
class Append:
    """One command's events, encoded: they are all written, or none is. Each stream stands once."""

    streams: Sequence[tuple[UUID, int, Sequence[PreparedEvent]]]
    """(stream id, expected version, events)"""
    metadata: bytes
    done: asyncio.Future[Appended]

    @property
    def key(self) -> UUID:
        """The first event's id stands for the command: it is derived from the command's id."""
        return self.streams[0][2][0].event_id


class GroupWriter:
    """Writes what is waiting, batch after batch, over one connection of its own.

    `give_up_after` seconds without PostgreSQL, the waiting appends fail with StoreUnavailable; the writer goes on
    trying.
    """

    def __init__(
        self,
        dsn: str,
        *,
        on_commit: Callable[[int], None],
        max_batch: int = 512,
        max_waiting: int = 20_000,
        give_up_after: float = 10.0,
    ) -> None:
        self._dsn, self._on_commit = dsn, on_commit
        self._max_batch, self._give_up_after = max_batch, give_up_after
        self._max_waiting = max_waiting
        self._waiting: deque[Append] = deque()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._deferred: list[Append] = []
        self._connection: psycopg.AsyncConnection | None = None
        self._versions: dict[UUID, int] = {}
        """Versions that streams have reached at least, as the batches since the last pause were told."""
        self._closed = False
        self.batches = self.appends = self.conflicts = 0

    async def append(self, streams: Sequence[tuple[UUID, int, Sequence[PreparedEvent]]], metadata: bytes) -> Appended:
        """Returns when the events are durable. Raises VersionConflict, or StoreUnavailable (outcome unknown)."""
        append = Append(streams, metadata, asyncio.get_running_loop().create_future())
        while len(self._waiting) >= self._max_waiting:
            self._room.clear()
            await self._room.wait()
        self._waiting.append(append)
        self._news.set()
        if self._closed:
            _fail([append], StoreUnavailable("the event store is closed"))
        return await append.done

    async def run(self) -> None:
        """Runs until cancelled."""
        batch: list[Append] = []
        try:
            while True:
                if not self._deferred:
                    self._versions.clear()
                    while not self._waiting:
                        self._news.clear()
                        await self._news.wait()
                batch = self._next_batch()
                if batch:
                    await self._write_until_told(batch)
        finally:
            self._closed = True
            await self._disconnect()
            _fail([*batch, *self._all_waiting()], StoreUnavailable("the event store is closing"))

    def _next_batch(self) -> list[Append]:
        """What is waiting, in order, but each stream and each command once: a second one waits for the next batch.

        Except one whose stream is known to have moved on: it can't be written any more, so it is in nobody's way.
        """
        batch: list[Append] = []
        taken: set[UUID] = set()
        candidates, self._deferred = self._deferred, []
        while len(candidates) < self._max_batch and self._waiting:
            candidates.append(self._waiting.popleft())
        self._room.set()
        for append in candidates:
            if append.done.done():
                continue
            ids = [append.key]
            is_late = False
            for stream, expected, _ in append.streams:
                ids.append(stream)
                is_late = is_late or expected < self._versions.get(stream, 0)
            if is_late or taken.isdisjoint(ids):
                batch.append(append)
            else:
                self._deferred.append(append)
            if not is_late:
                taken.update(ids)
        return batch

    def _all_waiting(self) -> list[Append]:
        appends, self._deferred = self._deferred, []
        appends += self._waiting
        self._waiting.clear()
        self._room.set()
        return appends

    async def _write_until_told(self, batch: list[Append]) -> None:
        """Writes a batch; after a lost connection again, which is safe since its events keep their ids."""
        deadline, pause = asyncio.get_running_loop().time() + self._give_up_after, 0.05
        while True:
            try:
                return await self._write(batch)
            except PASSING as error:
                await self._disconnect()
                batch = [append for append in batch if not append.done.done()]
                if asyncio.get_running_loop().time() + pause > deadline:
                    # What stands behind this batch has waited too, and would wait as long again for its own turn.
                    return _fail(
                        [*batch, *self._all_waiting()], StoreUnavailable(f"PostgreSQL can't be reached: {error}")
                    )
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others' appends must not suffer for it
                # Something in this batch is refused, or can't even be sent: find out whose it is, and spare the others.
                if len(batch) == 1:
                    return _fail(batch, error)
                for append in batch:
                    if not append.done.done():
                        await self._write_until_told([append])
                return None

    async def _write(self, batch: list[Append]) -> None:
        connection = await self._connected()
        cursor = connection.cursor(binary=True)
        await cursor.execute(APPEND, _columns(batch))
        rows = await cursor.fetchall()
        positions, repeated, late = _answers(rows)
        if positions:
            self.batches += 1
            self._on_commit(positions[-1])
        written = 0
        for place, append in enumerate(batch, 1):
            if place in late:
                self.conflicts += 1
                stream, actual = late[place]
                self._versions[stream] = actual
                expected = next(expected for each, expected, _ in append.streams if each == stream)
                if not append.done.done():
                    append.done.set_exception(VersionConflict(stream, expected, actual))
            elif place not in repeated:
                self.appends += 1
                versions = {}
                for stream, expected, events in append.streams:
                    written += len(events)
                    versions[stream] = self._versions[stream] = expected + len(events)
                _tell(append, Appended(positions[written - 1], versions))
        for append in [batch[place - 1] for place in repeated]:
            result = await self._first_result(connection, append)
            self._on_commit(result.position)  # it may be our own commit, whose answer was lost
            _tell(append, result)

    async def _first_result(self, connection: psycopg.AsyncConnection, append: Append) -> Appended:
        ids = [event.event_id for _, _, events in append.streams for event in events]
        rows = await (await connection.execute(FIRST_RESULT, (ids,), binary=True)).fetchall()
        return Appended(max(row[0] for row in rows), {row[1]: row[2] for row in rows}, replayed=True)

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=5)
            self._connection.prepare_threshold = 0
            arrays.register(self._connection)
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._connection.close()
            self._connection = None


def _columns(batch: list[Append]) -> tuple[BinaryArray, ...]:
    """The arguments of `append_events`; appends are numbered from 1, as SQL arrays are."""
    of_append: list[int] = []
    streams: list[UUID] = []
    expected: list[int] = []
    keys: list[UUID] = []
    metadata: list[bytes] = []
    event_append: list[int] = []
    event_ids: list[UUID] = []
    event_streams: list[UUID] = []
    versions: list[int] = []
    types: list[str] = []
    data: list[bytes] = []
    for place, append in enumerate(batch, 1):
        keys.append(append.key)
        metadata.append(append.metadata)
        for stream, version, events in append.streams:
            of_append.append(place)
            streams.append(stream)
            expected.append(version)
            for number, event in enumerate(events, version + 1):
                event_append.append(place)
                event_ids.append(event.event_id)
                event_streams.append(stream)
                versions.append(number)
                types.append(event.type)
                data.append(event.data)
    return (
        *(int4s(of_append), uuids(streams), int8s(expected)),
        *(uuids(keys), byteas(metadata)),
        *(int4s(event_append), uuids(event_ids), uuids(event_streams), int8s(versions), texts(types), byteas(data)),
    )


def _answers(rows: Sequence[tuple[Any, ...]]) -> tuple[list[int], set[int], dict[int, tuple[UUID, int]]]:
    """What `append_events` said: the positions written, in order; who came before; who comes too late, and why."""
    positions: list[int] = []
    repeated: set[int] = set()
    late: dict[int, tuple[UUID, int]] = {}
    for place, position, is_repeat, stream, actual in rows:
        if position is not None:
            positions.append(position)
        elif is_repeat:
            repeated.add(place)
        else:
            late.setdefault(place, (stream, actual))
    positions.sort()
    return positions, repeated, late


def _tell(append: Append, result: Appended) -> None:
    if not append.done.done():
        append.done.set_result(result)


def _fail(batch: Sequence[Append], error: BaseException) -> None:
    for append in batch:
        if not append.done.done():
            append.done.set_exception(error)
