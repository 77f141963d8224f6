"""Rows of a table that catches up: folded in memory from many batches of events, and written together.

A row that thousands of events change is read once and written once for all of them. No other process writes the table
meanwhile: the transaction that writes the rows checks that the table's position has not changed. If the process dies,
the rows that were not written are folded again from that position.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg

from shared.eventstore import RecordedEvent
from shared.eventstore.connections import within
from shared.projections.projection import Key, KeyedEvent, Rows
from shared.projections.table import ROWS_BYTES, Changes, Table, TooManyBytes
from shared.stopping import stop

MAX_ROWS = 1 << 16
"""Rows in memory; of the smallest kind, about 25 MiB."""
READ_WITHIN = 60.0
"""Seconds that a read may take; the connection's settings bound each of its statements."""
MAX_EVENTS = 1 << 17
"""Events after which rows are written: about two seconds of work, which a cancelled rebuild loses."""

Write = Callable[[Changes, int], Awaitable[None]]
"""Writes rows and their position, all or nothing."""
AttributingErrors = Callable[[], contextlib.AbstractContextManager[None]]
"""Raises errors that the table may have caused as TableFailed: those of its functions, and of reading its rows."""


class _Cell:
    """A row after the last event, and what is known of it in the database."""

    __slots__ = ("is_changed", "is_stored", "key", "row")

    def __init__(self, key: Key, row: Any, *, is_stored: bool) -> None:
        self.key, self.row, self.is_stored, self.is_changed = key, row, is_stored, False


class RowBuffer:
    """Folds events into rows; writes them after so many events, while the next events are folded.

    It first writes after `first` events, then after twice as many each time, so that a table that can't be built fails
    early. `is_empty`: the table has no rows yet, so none is read as long as memory holds all of them.
    """

    def __init__(
        self,
        table: Table,
        connection: psycopg.AsyncConnection,
        write: Write,
        attributing_errors: AttributingErrors,
        *,
        first: int,
        is_empty: bool,
    ) -> None:
        self._table, self._connection, self._write = table, connection, write
        self._attributing_errors = attributing_errors
        self._write_after, self._holds_all_rows = first, is_empty
        self._cells: dict[Key, _Cell] = {}
        self._changed: list[_Cell] = []
        self._inserted: list[Any] = []
        """Rows of an append-only table."""
        self._events = self._bytes = 0
        """Events of all types since the last write; an upper bound of the bytes of columns with a variable size."""
        self._writing: asyncio.Future[None] | None = None

    async def add(self, events: Sequence[RecordedEvent]) -> None:
        """Folds events. Raises the fold's exceptions, and those of reading and writing rows."""
        table, start = self._table, 0
        with self._attributing_errors():
            keyed = table.with_keys(events)
        while start < len(keyed):
            chunk = table.chunk(keyed, start)
            if table.projection.append_only:
                with self._attributing_errors():
                    self._append(chunk)
            else:
                try:
                    await self._load([key for _, keys in chunk for key in keys])
                except TooManyBytes:  # the next chunk is smaller
                    continue
                with self._attributing_errors():
                    self._fold(chunk)
            start += len(chunk)
            if self._bytes >= ROWS_BYTES or len(self._cells) >= MAX_ROWS or len(self._inserted) >= MAX_ROWS // 4:
                await self.start_write(chunk[-1][0].position)
                self._clear()

    async def write_when_due(self, position: int, events: int) -> None:
        """Call it after a batch of `events` events that ends at `position`."""
        self._events += events
        if self._events >= self._write_after:
            self._write_after = min(self._write_after * 2, MAX_EVENTS)
            await self.start_write(position)

    async def start_write(self, position: int) -> None:
        """Starts to write the rows as of `position`. Raises the error of the write before."""
        await self.wait_until_written()
        changes = Changes(inserted=self._inserted)
        for cell in self._changed:
            cell.is_changed = False
            if cell.row is None:
                if cell.is_stored:
                    changes.deleted.append(cell.key)
            elif cell.is_stored:
                changes.updated.append(cell.row)
            else:
                changes.inserted.append(cell.row)
            cell.is_stored = cell.row is not None
        self._changed, self._inserted, self._events = [], [], 0
        self._writing = asyncio.ensure_future(self._write(changes, position))

    @property
    def tasks(self) -> Sequence[asyncio.Future[None]]:
        """The running write; stop it when you give up."""
        return [self._writing] if self._writing else []

    async def wait_until_written(self) -> None:
        """Waits for the running write, and raises its error."""
        if (writing := self._writing) is not None:
            try:
                await asyncio.shield(writing)
            finally:
                await stop(writing)
                self._writing = None

    def _append(self, chunk: Sequence[KeyedEvent]) -> None:
        project, adds = self._table.projection.project, self._table.projection.adds
        for event, keys in chunk:
            if adds is not None and (rows := adds(event)):
                self._inserted += rows.values()
                continue
            for _ in keys:
                if (row := project(None, event)) is not None:
                    self._inserted.append(row)
        self._count_bytes(chunk)

    def _fold(self, chunk: Sequence[KeyedEvent]) -> None:
        """The same as `fold_batch`, on cells."""
        project, adds, cells = self._table.projection.project, self._table.projection.adds, self._cells
        for event, keys in chunk:
            if adds is not None and (rows := adds(event)):
                for key, row in rows.items():
                    self._change(cells[key], row)
                continue
            for key in keys:
                cell = cells[key]
                row = project(cell.row, event)
                if row is not cell.row:
                    self._change(cell, row)
        self._count_bytes(chunk)

    def _change(self, cell: _Cell, row: Any) -> None:
        cell.row = row
        if not cell.is_changed:
            cell.is_changed = True
            self._changed.append(cell)

    def _count_bytes(self, chunk: Sequence[KeyedEvent]) -> None:
        """Estimates that rows grow by no more than the bytes of their events."""
        if not self._table.is_of_fixed_size:
            self._bytes += sum([len(event.data) for event, _ in chunk])

    async def _load(self, keys: Sequence[Key]) -> None:
        """Reads the rows of these keys that are not in memory."""
        cells = self._cells
        unknown = dict.fromkeys([key for key in keys if key not in cells])
        rows = Rows()
        if unknown and not self._holds_all_rows:
            await self.wait_until_written()
            with self._attributing_errors():
                rows, size = await self._read(list(unknown))
            self._bytes += size
        for key in unknown:
            row = rows.get(key)
            cells[key] = _Cell(key, row, is_stored=row is not None)

    async def _read(self, keys: list[Key]) -> tuple[Rows, int]:
        async with within(READ_WITHIN, self._connection), self._connection.transaction():
            return await self._table.read(self._connection, keys)

    def _clear(self) -> None:
        self._cells, self._bytes, self._holds_all_rows = {}, 0, False
