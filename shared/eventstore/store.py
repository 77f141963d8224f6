"""The event store of one service: opening it, and what keeps it running."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from shared.backoff import Backoff
from shared.eventstore.append_statement import Row
from shared.eventstore.codec import Codec
from shared.eventstore.connections import TRANSIENT_ERRORS, WORK, connected
from shared.eventstore.decider import StateCache
from shared.eventstore.epochs import Epoch, Epochs
from shared.eventstore.event_rows import EventRows
from shared.eventstore.group_writer import GroupWriter
from shared.eventstore.lease import Leases
from shared.eventstore.migrate import PATIENCE, Schema, migrate
from shared.eventstore.pool import ReadingPool
from shared.eventstore.seal import PLAIN, Seal
from shared.eventstore.sequence_reader import SequenceReader
from shared.eventstore.stream_writer import StreamWriter
from shared.eventstore.watermarks import HEAD_WATERMARK, Watermarks
from shared.stopping import stop

SCHEMA = Schema("eventstore", Path(__file__).parent / "migrations")

EPOCH_WATERMARK = "epoch"
EPOCH_CHECK_EVERY = 30.0
"""Seconds between two checks whether the store went back; each new connection checks it, too."""


class EventStore(StreamWriter, SequenceReader):
    """One per process and database; open it with `EventStore.open`.

    `append`, `handle` and `create` write (stream_writer.py); `load` and `read_stream` read one stream
    (stream_reader.py); `read_batch`, `tail` and `follow` read the sequence of all events (sequence_reader.py).
    """

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
        rows = EventRows(codec, pool, epochs, seal)
        StreamWriter.__init__(self, rows, cache, writer)
        SequenceReader.__init__(self, rows, watermarks)
        self.dsn, self.leases = dsn, leases
        epochs.on_epoch(self._went_back)
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

        `max_batch` is the largest number of appends in one transaction, `readers` that of connections for reading.
        `instance` is the name that operators see for this process when it holds a lease.
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
                await asyncio.gather(*store._snapshots, return_exceptions=True)

    def reader(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncCursor[tuple[Any, ...]]]:
        """A cursor for one query, on read tables too. Raises StoreUnavailable when PostgreSQL can't be reached."""
        return self.pool.reader()

    # Epochs

    def on_epoch(self, callback: Callable[[Epoch], None]) -> None:
        """Calls `callback` whenever the store is found to have gone back, so that it drops what it remembers of it."""
        self.epochs.on_epoch(callback)

    def epoch_of(self, position: int) -> int:
        """According to the epochs last read: after reading events, `await refresh_epochs()` before calling this."""
        return self.epochs.of(position)

    async def refresh_epochs(self) -> None:
        """Reads the epochs from the database."""
        async with self.pool.connection() as connection:
            await self.epochs.read(connection)

    async def begin_epoch(
        self, reason: str, first_position: int, details: Mapping[str, Any], *, after: int = 0
    ) -> Epoch:
        """For the relay, when the broker's messages show that the store went back: see `Epochs.begin`."""
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
        """Reads the epochs that other processes begin; checks the trail, as behind a proxy no connection may break."""

        async def check() -> None:
            await self.watermarks.wait_beyond(EPOCH_WATERMARK, self.epochs.latest.number, EPOCH_CHECK_EVERY)
            async with self.pool.connection() as connection:
                await self.epochs.check(connection)
                await self.epochs.read(connection)

        await Backoff("epochs", on=TRANSIENT_ERRORS).repeat(check)
