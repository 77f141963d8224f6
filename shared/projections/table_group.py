"""Moving read tables along the store's sequence: each batch is one transaction, which writes rows and positions.

Tables at the same position move together, so that a query over two of them sees one moment, and each event is decoded
once. When one table can't go on, `TableFailed` names it; the batch is rolled back, and the others repeat it without
that table.
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
from shared.projections.projection import Touched, fold_batch
from shared.projections.row_buffer import RowBuffer
from shared.projections.table import Changes, Table, TooManyBytes

FEW = 32
"""Up to this many events, which change up to as many rows of each table, are applied in one pipeline."""
ENDS_WITHIN = 60.0
"""Seconds that a batch may take; the connection's settings bound each of its statements."""
Fence = Callable[[psycopg.AsyncConnection], Awaitable[None]]
"""Is called in each transaction; it raises when the lease is lost."""


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
        """Of the events that change their rows."""
        for table in tables:
            self.add(table)
        self._lease, self._status, self._fence = lease, status, fence
        self._unwritten_since: float | None = None
        """When the tables passed the first event that changes no row, and of which the database does not know yet."""
        self._position = self._written = position

    @property
    def position(self) -> int:
        """Up to where the tables show everything."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        """As the database says it."""
        self._position = self._written = position
        self._unwritten_since = None

    @property
    def names(self) -> list[str]:
        return [table.name for table in self.tables]

    def add(self, table: Table) -> None:
        self._have([*self.tables, table])

    def remove(self, table: Table) -> None:
        self._have([each for each in self.tables if each is not table])

    def _have(self, tables: list[Table]) -> None:
        self.tables = tables
        self.types = frozenset[str]().union(*(table.projection.types for table in tables))

    async def apply(self, batch: Batch) -> None:
        """Applies a batch, all or nothing. Raises TableFailed, Fenced, and the errors of a lost connection."""
        if len(batch.events) <= FEW and await self._apply_few(batch):
            return
        while True:
            try:
                async with self._moving(batch.position):
                    for table in self.tables:
                        with self._blaming(table):
                            await table.apply(self.connection, batch.events)
            except TooManyBytes:  # the table takes fewer rows at a time from now on
                continue
            return

    async def pass_over(self, position: int, seconds: float) -> None:
        """Moves the tables past events that change no row; `write_position` tells the database of it."""
        if self._unwritten_since is None:
            self._unwritten_since = asyncio.get_running_loop().time()
        self._position = position
        await self.write_position(seconds)

    async def write_position(self, seconds: float = 0.0) -> None:
        """Writes where the tables are, if the database has not known it for so many seconds."""
        if self.seconds_to_write(seconds) == 0:
            await self.apply(Batch([], self.position, 0))

    def seconds_to_write(self, seconds: float) -> float | None:
        """Seconds until the position must be written, so that it is known after `seconds`; None: it is written."""
        if self._unwritten_since is None:
            return None
        return max(0.0, self._unwritten_since + seconds - asyncio.get_running_loop().time())

    async def _apply_few(self, batch: Batch) -> bool:
        """Applies a batch in two round trips instead of four and two to four for each table: most batches are small.

        False when that can't be done: nothing has changed, and `apply` finds out what is wrong, and with which table.
        """
        touched = [(table, self._touched(table, batch)) for table in self.tables]
        touched = [(table, events) for table, events in touched if events]
        keys = [list({key for _, keys in events for key in keys}) for _, events in touched]
        if any(len(each) > min(FEW, table.at_once) for (table, _), each in zip(touched, keys, strict=True)):
            return False
        if self._is_in_transaction():
            return False
        at, is_done = (self.names, self._written, self._lease, batch.position, self._status), False
        try:
            async with within(ENDS_WITHIN, self.connection), self.connection.pipeline(), self.connection.transaction():
                if self._fence:
                    await self._fence(self.connection)
                moved = await self.connection.execute(positions.MOVE_IF_AT, at)
                asked = [await table.ask(self.connection, each) for (table, _), each in zip(touched, keys, strict=True)]
                if len(await moved.fetchall()) != len(self.tables):
                    raise psycopg.Rollback  # leaves the transaction's block, which ends there
                for (table, events), asking in zip(touched, asked, strict=True):
                    before = await table.answered(asking)
                    with self._blaming(table):
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

    def _touched(self, table: Table, batch: Batch) -> list[Touched]:
        with self._blaming(table):
            return table.touched(batch.events)

    def unwritten(self, table: Table, first: int) -> RowBuffer:
        """For a group of this one table: rows that are folded in memory, and written as `apply` would write them."""

        async def write(changes: Changes, position: int) -> None:
            async with self._moving(position):
                with self._blaming(table):
                    await table.write(self.connection, changes)

        blaming = partial(self._blaming, table)
        return RowBuffer(table, self.connection, write, blaming, first=first, is_empty=not self.position)

    @contextlib.asynccontextmanager
    async def _moving(self, position: int) -> AsyncIterator[None]:
        """A transaction that moves the tables to a position, unless somebody else has moved or claimed one."""
        async with within(ENDS_WITHIN, self.connection), self.connection.transaction():
            if self._fence:
                await self._fence(self.connection)
            await positions.lock(self.connection, self.names, self._written, self._lease)
            yield
            await positions.move(self.connection, self.names, position, self._status)
        self.position = position

    @contextlib.contextmanager
    def _blaming(self, table: Table) -> Iterator[None]:
        """Raises what the table raises as TableFailed; when the connection is lost, the table is not the cause."""
        try:
            yield
        except (TooManyBytes, TableFailed):
            raise
        except Exception as error:
            if self.connection.broken or self.connection.closed:
                raise
            raise TableFailed(table, error) from error
