"""A group of read tables at one position: each batch is one transaction, which writes their rows and positions.

They move together, so that a query over two of them sees one moment, and each event is decoded once. When one table
can't apply a batch, `TableFailed` names it; the batch is rolled back, and the others repeat it without that table.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial

import psycopg
from psycopg.pq import TransactionStatus

from shared.eventstore import Batch
from shared.eventstore.connections import within
from shared.projections import positions
from shared.projections.failures import TableFailed
from shared.projections.projection import KeyedEvent, fold_batch
from shared.projections.row_buffer import RowBuffer
from shared.projections.table import Changes, Table, TooManyBytes

SMALL_BATCH = 192
"""Up to so many events, which change up to so many rows of each table, are applied in one pipeline."""
APPLY_WITHIN = 60.0
"""Seconds that a batch may take; the connection's settings bound each of its statements."""
Fence = Callable[[psycopg.AsyncConnection], Awaitable[None]]
"""Called in each transaction; raises when the lease is lost."""


class TableGroup:
    """Tables at one position, with the connection that moves them."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection,
        tables: Sequence[Table],
        position: int,
        *,
        lease: str = "",
        status: str = "live",
        fence: Fence | None = None,
    ) -> None:
        self.connection = connection
        self.tables: list[Table] = []
        self.types: frozenset[str] = frozenset()
        """Newest tags of the events that change their rows."""
        for table in tables:
            self.add(table)
        self._lease, self._status, self._fence = lease, status, fence
        self._unwritten_since: float | None = None
        """When the tables passed the first event whose position is not written yet, since it changes no row."""
        self._position = self._stored_position = position

    @property
    def position(self) -> int:
        """All events up to this position are in the tables."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        """Sets it as read from the database."""
        self._position = self._stored_position = position
        self._unwritten_since = None

    @property
    def names(self) -> list[str]:
        """The names of the tables."""
        return [table.name for table in self.tables]

    def add(self, table: Table) -> None:
        """Adds a table, which must be at the group's position."""
        self._set_tables([*self.tables, table])

    def remove(self, table: Table) -> None:
        """Removes a table."""
        self._set_tables([other for other in self.tables if other is not table])

    def _set_tables(self, tables: list[Table]) -> None:
        self.tables = tables
        self.types = frozenset[str]().union(*(table.projection.types for table in tables))

    async def apply(self, batch: Batch) -> None:
        """Applies a batch, all or nothing.

        Raises TableFailed, OutdatedPosition, what the fence raises, and errors of a lost connection.
        """
        if len(batch.events) <= SMALL_BATCH and await self._apply_small(batch):
            return
        while True:
            try:
                async with self._transaction(batch.position):
                    for table in self.tables:
                        with self._attributing_errors(table):
                            await table.apply(self.connection, batch.events)
            except TooManyBytes:  # from now on, the table reads fewer rows at a time
                continue
            return

    async def pass_over(self, position: int, seconds: float) -> None:
        """Moves the tables past events that change no row; writes the position as `write_position` does."""
        if self._unwritten_since is None:
            self._unwritten_since = asyncio.get_running_loop().time()
        self._position = position
        await self.write_position(seconds)

    async def write_position(self, seconds: float = 0.0) -> None:
        """Writes the position if it has been unwritten for `seconds` or longer."""
        if self.seconds_to_write(seconds) == 0:
            await self.apply(Batch([], self.position, 0))

    def seconds_to_write(self, seconds: float) -> float | None:
        """Seconds until the position has been unwritten for `seconds`; None if it is written."""
        if self._unwritten_since is None:
            return None
        return max(0.0, self._unwritten_since + seconds - asyncio.get_running_loop().time())

    async def _apply_small(self, batch: Batch) -> bool:
        """Applies a batch in two round trips instead of four, plus two to four per table: most batches are small.

        Under load, each round trip also waits for a turn of the event loop, and the batch's readers wait for them all.

        Returns False when it can't; then nothing has changed, and `apply` finds the cause and the table.
        """
        events_of = [(table, self._with_keys(table, batch)) for table in self.tables]
        events_of = [(table, events) for table, events in events_of if events]
        keys_of = [list({key for _, keys in events for key in keys}) for _, events in events_of]
        if any(
            len(keys) > min(SMALL_BATCH, table.rows_in_pipeline)
            for (table, _), keys in zip(events_of, keys_of, strict=True)
        ):
            return False
        if self._is_in_transaction():
            return False
        advance = (self.names, self._stored_position, self._lease, batch.position, self._status)
        is_done = False
        try:
            async with within(APPLY_WITHIN, self.connection), self.connection.pipeline(), self.connection.transaction():
                if self._fence:
                    await self._fence(self.connection)
                advanced = await self.connection.execute(positions.ADVANCE_TABLES, advance)
                reads = [
                    await table.start_read(self.connection, keys)
                    for (table, _), keys in zip(events_of, keys_of, strict=True)
                ]
                if len(await advanced.fetchall()) != len(self.tables):
                    raise psycopg.Rollback  # ends the transaction's block only
                for (table, events), read in zip(events_of, reads, strict=True):
                    before = await table.finish_read(read)
                    with self._attributing_errors(table):
                        changes = Changes.between(before, fold_batch(table.projection, events, before))
                    await table.send(self.connection, changes)
                is_done = True
        except psycopg.Error:
            if self.connection.broken or self.connection.closed:
                raise
            if self._is_in_transaction():
                await self.connection.rollback()
            return False
        if is_done:
            self.position = batch.position
        return is_done

    def _is_in_transaction(self) -> bool:
        return self.connection.info.transaction_status != TransactionStatus.IDLE

    def _with_keys(self, table: Table, batch: Batch) -> list[KeyedEvent]:
        with self._attributing_errors(table):
            return table.with_keys(batch.events)

    def row_buffer(self, table: Table, first: int) -> RowBuffer:
        """For a group of this table only: folds rows in memory, and writes them in transactions as `apply` does."""

        async def write(changes: Changes, position: int) -> None:
            async with self._transaction(position):
                with self._attributing_errors(table):
                    await table.write(self.connection, changes)

        attributing_errors = partial(self._attributing_errors, table)
        return RowBuffer(table, self.connection, write, attributing_errors, first=first, is_empty=not self.position)

    @contextlib.asynccontextmanager
    async def _transaction(self, position: int) -> AsyncIterator[None]:
        """A transaction that moves the tables to a position. Raises OutdatedPosition as `positions.lock` does."""
        async with within(APPLY_WITHIN, self.connection), self.connection.transaction():
            if self._fence:
                await self._fence(self.connection)
            await positions.lock(self.connection, self.names, self._stored_position, self._lease)
            yield
            await positions.move(self.connection, self.names, position, self._status)
        self.position = position

    @contextlib.contextmanager
    def _attributing_errors(self, table: Table) -> Iterator[None]:
        """Raises the block's errors as TableFailed, but not those of a lost connection."""
        try:
            yield
        except (TooManyBytes, TableFailed):
            raise
        except Exception as error:
            if self.connection.broken or self.connection.closed:
                raise
            raise TableFailed(table, error) from error
