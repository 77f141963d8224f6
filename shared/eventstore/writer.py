"""Group commit: every append that is waiting goes into one transaction, and each is told its own result.

One advisory lock per transaction makes commit order equal position order over all processes, so a reader that asks for
`position > last` can't miss a slow writer. The lock is taken per batch, which is why it is cheap.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from shared.eventstore.records import Appended, StoreUnavailable, VersionConflict

APPEND_LOCK = 0x656D70726F7073
"""The advisory lock of appends ("emprops"); advisory locks belong to one database, so each service has its own."""

LOCK = "select pg_advisory_xact_lock(%b)"
HEADS = """
select s.id, coalesce((select e.version from events e where e.stream_id = s.id order by e.version desc limit 1), 0)
from unnest(%b::uuid[]) as s(id)"""
SEEN = "select event_id from events where event_id = any(%b::uuid[])"
INSERT = """
insert into events (event_id, stream_id, version, type, data, metadata)
select event_id, stream_id, version, type, data, metadata
from unnest(%b::uuid[], %b::uuid[], %b::int8[], %b::text[], %b::bytea[], %b::bytea[])
     with ordinality as e(event_id, stream_id, version, type, data, metadata, n)
order by n
returning position"""
FIRST_RESULT = """
select max(position), stream_id, max(version) from events where event_id = any(%b::uuid[]) group by stream_id"""


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

    `give_up_after` seconds without PostgreSQL, the waiting appends fail with StoreUnavailable; the writer goes
    on trying.
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
        self._waiting: asyncio.Queue[Append] = asyncio.Queue(max_waiting)
        self._connection: psycopg.AsyncConnection | None = None
        self.batches = self.appends = self.conflicts = 0

    async def append(self, streams: Sequence[tuple[UUID, int, Sequence[PreparedEvent]]], metadata: bytes) -> Appended:
        """Returns when the events are durable. Raises VersionConflict, or StoreUnavailable (outcome unknown)."""
        append = Append(streams, metadata, asyncio.get_running_loop().create_future())
        await self._waiting.put(append)
        return await append.done

    async def run(self) -> None:
        """Runs until cancelled."""
        try:
            while True:
                batch = [await self._waiting.get()]
                while len(batch) < self._max_batch and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                batch = [append for append in batch if not append.done.done()]
                if batch:
                    try:
                        await self._write_until_told(batch)
                    except BaseException:
                        _fail(batch, StoreUnavailable("the event store is closing"))
                        raise
        finally:
            await self._disconnect()
            while not self._waiting.empty():
                _fail([self._waiting.get_nowait()], StoreUnavailable("the event store is closing"))

    async def _write_until_told(self, batch: list[Append]) -> None:
        """Writes a batch; after a lost connection again, which is safe since its events keep their ids."""
        deadline, pause = asyncio.get_running_loop().time() + self._give_up_after, 0.05
        while True:
            try:
                return await self._write(batch)
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
                await self._disconnect()
                batch = [append for append in batch if not append.done.done()]
                if asyncio.get_running_loop().time() + pause > deadline:
                    return _fail(batch, StoreUnavailable(f"PostgreSQL can't be reached: {error}"))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
            except psycopg.Error as error:
                # Something in this batch is refused by PostgreSQL itself: find out whose it is, and spare the others.
                await self._disconnect()
                if len(batch) == 1:
                    return _fail(batch, error)
                for append in batch:
                    if not append.done.done():
                        await self._write_until_told([append])
                return None

    async def _write(self, batch: list[Append]) -> None:
        connection = await self._connected()
        lock, heads_of, seen_of, insert = (connection.cursor(binary=True) for _ in range(4))
        streams = {stream for append in batch for stream, _, _ in append.streams}
        async with connection.pipeline():
            await lock.execute(LOCK, (APPEND_LOCK,))
            await heads_of.execute(HEADS, (list(streams),))
            await seen_of.execute(SEEN, ([append.key for append in batch],))
            heads: dict[UUID, int] = dict(await heads_of.fetchall())
            seen = {row[0] for row in await seen_of.fetchall()}
            columns, accepted, replayed, refused = _judge(batch, heads, seen)
            if accepted:
                await insert.execute(INSERT, columns)
            await connection.commit()
        position = 0
        if accepted:
            positions = [row[0] for row in await insert.fetchall()]
            self.batches += 1
            self.appends += len(accepted)
            self._on_commit(positions[-1])
            for append, count, versions in accepted:
                position += count
                _tell(append, Appended(positions[position - 1], versions))
        for append, conflict in refused:
            self.conflicts += 1
            if not append.done.done():
                append.done.set_exception(conflict)
        for append in replayed:
            _tell(append, await self._first_result(connection, append))

    async def _first_result(self, connection: psycopg.AsyncConnection, append: Append) -> Appended:
        ids = [event.event_id for _, _, events in append.streams for event in events]
        rows = await (await connection.execute(FIRST_RESULT, (ids,), binary=True)).fetchall()
        await connection.commit()
        return Appended(max(row[0] for row in rows), {row[1]: row[2] for row in rows}, replayed=True)

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._dsn, connect_timeout=5)
            self._connection.prepare_threshold = 0
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._connection.close()
            self._connection = None


_Accepted = tuple[Append, int, dict[UUID, int]]


def _judge(
    batch: list[Append], heads: dict[UUID, int], seen: set[UUID]
) -> tuple[tuple[list[object], ...], list[_Accepted], list[Append], list[tuple[Append, VersionConflict]]]:
    """Sorts a batch, in order, into what is written, what had been written before, and what comes too late."""
    columns: tuple[list[object], ...] = ([], [], [], [], [], [])
    event_ids, stream_ids, versions, types, data, metadata = columns
    accepted: list[_Accepted] = []
    replayed: list[Append] = []
    refused: list[tuple[Append, VersionConflict]] = []
    for append in batch:
        if append.key in seen:
            replayed.append(append)
            continue
        conflict = next(
            (
                VersionConflict(stream, expected, heads[stream])
                for stream, expected, _ in append.streams
                if heads[stream] != expected
            ),
            None,
        )
        if conflict:
            refused.append((append, conflict))
            continue
        reached: dict[UUID, int] = {}
        count = 0
        for stream, expected, events in append.streams:
            for version, event in enumerate(events, expected + 1):
                event_ids.append(event.event_id)
                stream_ids.append(stream)
                versions.append(version)
                types.append(event.type)
                data.append(event.data)
                metadata.append(append.metadata)
            heads[stream] = reached[stream] = expected + len(events)
            count += len(events)
        seen.add(append.key)
        accepted.append((append, count, reached))
    return columns, accepted, replayed, refused


def _tell(append: Append, result: Appended) -> None:
    if not append.done.done():
        append.done.set_result(result)


def _fail(batch: Sequence[Append], error: BaseException) -> None:
    for append in batch:
        if not append.done.done():
            append.done.set_exception(error)
