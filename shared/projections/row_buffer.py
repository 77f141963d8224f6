"""Rows of a table that catches up: folded in memory from many batches of events, and written together.

A row that thousands of events change is read once and written once for all of them. Nobody else writes the table
meanwhile: the transaction that writes the rows checks that the table's position is still that of the events before
them. What was not written yet is lost with the process, and made again from there.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg

from shared.eventstore import RecordedEvent
from shared.eventstore.connections import within
from shared.projections.projection import Key, Rows, Touched
from shared.projections.table import ROWS_BYTES, Changes, Table, TooManyBytes
from shared.stopping import stop

MOST_ROWS = 1 << 16
"""Rows that are held at most; of the smallest kind, these are about 25 MiB."""
READS_WITHIN = 60.0
"""Seconds that a read may take; the connection's settings bound each of its statements."""
MOST_EVENTS = 1 << 17
"""Events after which rows are written at the latest: about two seconds of work, which a cancelled rebuild loses."""

Write = Callable[[Changes, int], Awaitable[None]]
"""Writes rows and the position that they are at, all or nothing."""
Blaming = Callable[[], contextlib.AbstractContextManager[None]]
"""For what the table may be the cause of: its functions, and the reading of its rows."""


class _Cell:
    """A row as it is after the last event."""

    __slots__ = ("is_changed", "is_stored", "key", "row")

    def __init__(self, key: Key, row: Any, *, is_stored: bool) -> None:
        self.key, self.row, self.is_stored, self.is_changed = key, row, is_stored, False


class RowBuffer:
    """Folds events into rows, and writes them when there are enough, while the next events are folded.

    `first` events are enough at first, then twice as many each time: a table that can't be built shows that soon.
    `is_empty`: the table has no rows yet, so none is read as long as all that come are held.
    """

    def __init__(
        self,
        table: Table,
        connection: psycopg.AsyncConnection,
        write: Write,
        blaming: Blaming,
        *,
        first: int,
        is_empty: bool,
    ) -> None:
        self._table, self._connection, self._write, self._blaming = table, connection, write, blaming
        self._enough, self._are_all_held = first, is_empty
        self._cells: dict[Key, _Cell] = {}
        self._changed: list[_Cell] = []
        self._added: list[Any] = []
        """Rows of an append-only table, of which each is new."""
        self._events = self._bytes = 0
        """Events of all types since the last write; bytes of the rows' columns that have no fixed size, at most."""
        self._writing: asyncio.Future[None] | None = None

    async def take(self, events: Sequence[RecordedEvent]) -> None:
        """Raises the fold's exceptions, and those of reading and writing rows."""
        table, start = self._table, 0
        with self._blaming():
            touched = table.touched(events)
        while start < len(touched):
            piece = table.piece(touched, start)
            if table.projection.append_only:
                with self._blaming():
                    self._append(piece)
            else:
                try:
                    await self._know([key for _, keys in piece for key in keys])
                except TooManyBytes:  # the next piece is a smaller one
                    continue
                with self._blaming():
                    self._fold(piece)
            start += len(piece)
            if self._bytes >= ROWS_BYTES or len(self._cells) >= MOST_ROWS or len(self._added) >= MOST_ROWS // 4:
                await self.write(piece[-1][0].position)
                self._forget()

    async def write_if_enough(self, position: int, events: int) -> None:
        """After a batch of so many events that ends at `position`."""
        self._events += events
        if self._events >= self._enough:
            self._enough = min(self._enough * 2, MOST_EVENTS)
            await self.write(position)

    async def write(self, position: int) -> None:
        """Begins to write the rows as they are after the event at `position`; raises what the last write raised."""
        await self.written()
        changes = Changes(added=self._added)
        for cell in self._changed:
            cell.is_changed = False
            if cell.row is None:
                if cell.is_stored:
                    changes.gone.append(cell.key)
            elif cell.is_stored:
                changes.edited.append(cell.row)
            else:
                changes.added.append(cell.row)
            cell.is_stored = cell.row is not None
        self._changed, self._added, self._events = [], [], 0
        self._writing = asyncio.ensure_future(self._write(changes, position))

    @property
    def tasks(self) -> Sequence[asyncio.Future[None]]:
        """What is being written; who gives up stops it."""
        return [self._writing] if self._writing else []

    async def written(self) -> None:
        """Waits until what was begun to be written is."""
        if (writing := self._writing) is not None:
            try:
                await asyncio.shield(writing)
            finally:
                await stop(writing)
                self._writing = None

    def _append(self, piece: Sequence[Touched]) -> None:
        project, adds = self._table.projection.project, self._table.projection.adds
        for event, keys in piece:
            if adds is not None and (added := adds(event)):
                self._added += added.values()
                continue
            for _ in keys:
                if (row := project(None, event)) is not None:
                    self._added.append(row)
        self._weigh(piece)

    def _fold(self, piece: Sequence[Touched]) -> None:
        """Does what `fold_batch` does."""
        project, adds, cells = self._table.projection.project, self._table.projection.adds, self._cells
        for event, keys in piece:
            if adds is not None and (added := adds(event)):
                for key, row in added.items():
                    self._change(cells[key], row)
                continue
            for key in keys:
                cell = cells[key]
                row = project(cell.row, event)
                if row is not cell.row:
                    self._change(cell, row)
        self._weigh(piece)

    def _change(self, cell: _Cell, row: Any) -> None:
        cell.row = row
        if not cell.is_changed:
            cell.is_changed = True
            self._changed.append(cell)

    def _weigh(self, piece: Sequence[Touched]) -> None:
        """A row grows by no more than the events that it is made of, as far as anybody can tell beforehand."""
        if not self._table.is_of_fixed_size:
            self._bytes += sum([len(event.data) for event, _ in piece])

    async def _know(self, keys: Sequence[Key]) -> None:
        """Reads the rows that are not held yet."""
        cells = self._cells
        unknown = dict.fromkeys([key for key in keys if key not in cells])
        rows = Rows()
        if unknown and not self._are_all_held:
            await self.written()
            with self._blaming():
                rows, size = await self._read(list(unknown))
            self._bytes += size
        for key in unknown:
            row = rows.get(key)
            cells[key] = _Cell(key, row, is_stored=row is not None)

    async def _read(self, keys: list[Key]) -> tuple[Rows, int]:
        async with within(READS_WITHIN, self._connection), self._connection.transaction():
            return await self._table.read(self._connection, keys)

    def _forget(self) -> None:
        self._cells, self._bytes, self._are_all_held = {}, 0, False
