"""Reads and writes the rows of a read table, many at a time."""

import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.json import Json

from shared.eventstore import RecordedEvent
from shared.projections.projection import Key, KeyedEvent, Projection, Rows, fold_batch
from shared.projections.table_statements import TableStatements

STAGE_FROM = 50
"""From so many updated rows on, COPY into a staging table and one merge are faster than one statement per row."""
ARRAYS_TO = 300
"""Up to so many updated rows, one statement with arrays is faster than both."""
SINGLE_BELOW = 3
"""From so many rows on, one COPY of new rows, or one statement with arrays, is faster than one statement per row: a row
took 20, 40 and 66 us in these three ways, with 24 rows of 28 columns."""
FIRST_READ, MAX_READ = 64, 4096
"""Rows that one query reads, at first and at most."""
FIRST_IN_PIPELINE = 32
"""Rows that a pipeline reads of a table before the size of its rows is known: these can't be counted as they arrive."""
ROWS_BYTES = 16 * 1024 * 1024
"""A query with more bytes in its rows is aborted, and repeated for fewer rows."""
CHUNK = 256
"""Rows that the server sends at a time."""

SELECT_COLUMN_TYPES = """
select attname, atttypid, format_type(atttypid, atttypmod) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped"""


PendingRead = psycopg.AsyncCursor[tuple[Any, ...]]
"""A query that was sent in a pipeline."""


class TooManyBytes(Exception):  # noqa: N818 - no fault: a repetition reads fewer rows at a time
    """The rows of one query are too large: the transaction must be repeated, which reads fewer rows at a time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows to insert, rows to update, and keys of the rows to delete."""

    inserted: list[Any] = field(default_factory=list)
    updated: list[Any] = field(default_factory=list)
    deleted: list[Key] = field(default_factory=list)

    @classmethod
    def between(cls, before: Rows, changed: Rows) -> "Changes":
        """`before` are rows of the table; in `changed`, None means that the row is deleted."""
        changes = cls()
        for key, row in changed.items():
            if row is None:
                if key in before:
                    changes.deleted.append(key)
            elif key in before:
                changes.updated.append(row)
            else:
                changes.inserted.append(row)
        return changes


class Table:
    """A projection's rows in one table: the live one (`jobs_v3`), or one that is being rebuilt (`jobs_v3__rebuild`)."""

    def __init__(
        self, projection: Projection[Any], name: str, types: dict[str, tuple[int, str]], skips: frozenset[int]
    ) -> None:
        self.projection, self.name = projection, name
        self.skips = skips
        """Positions of the events that an operator has skipped."""
        self._oids = tuple(types[column][0] for column in projection.columns)
        self._json = tuple(index for index, column in enumerate(projection.columns) if types[column][1] == "json")
        self._texts = tuple(index for index, column in enumerate(projection.columns) if types[column][1] == "text")
        fields = msgspec.structs.fields(projection.row)
        self._decoders = {index: msgspec.json.Decoder(fields[index].type).decode for index in self._json}
        self._key = tuple(projection.columns.index(column) for column in projection.key)
        self.is_of_fixed_size = not (self._json or self._texts)
        """Whether no column has a variable size (text or JSON)."""
        self._statements = TableStatements(projection, name, types)
        self._size_is_known = projection.append_only or not (self._json or self._texts)
        self._rows_at_once = MAX_READ if self._size_is_known else FIRST_READ

    @classmethod
    async def open(
        cls,
        connection: psycopg.AsyncConnection,
        projection: Projection[Any],
        name: str | None = None,
        skips: frozenset[int] = frozenset(),
    ) -> "Table":
        """Opens an existing table. Raises KeyError for a field without a column, TypeError for a `jsonb` column."""
        name = name or projection.table
        connection.adapters.register_loader("json", _JsonBytes)
        rows = await (await connection.execute(SELECT_COLUMN_TYPES, (name,))).fetchall()
        types = {column: (oid, type_name) for column, oid, type_name in rows}
        if binary := [column for column in projection.columns if types[column][1] == "jsonb"]:
            raise TypeError(f"{name}: {', '.join(binary)}: jsonb changes numbers and the order of keys, so use json")
        return cls(projection, name, types, skips)

    @classmethod
    async def create(cls, connection: psycopg.AsyncConnection, projection: Projection[Any], name: str) -> None:
        """Creates the table, unless it exists."""
        exists = await (await connection.execute("select to_regclass(%s)", (name,))).fetchone()
        if exists is None or exists[0] is None:
            await connection.execute(projection.ddl.replace("{table}", name).encode(), prepare=False)

    async def apply(self, connection: psycopg.AsyncConnection, events: Iterable[RecordedEvent]) -> None:
        """Folds events into the rows that they change, a bounded number of rows at a time.

        Raises the fold's exceptions and PostgreSQL's, and TooManyBytes when rows are larger than expected: repeat the
        transaction then, which reads fewer rows at a time.
        """
        keyed, start = self.with_keys(events), 0
        while start < len(keyed):
            chunk = self.chunk(keyed, start)
            start += len(chunk)
            before, _ = await self.read(connection, list({key for _, keys in chunk for key in keys}))
            await self.write(connection, Changes.between(before, fold_batch(self.projection, chunk, before)))

    def with_keys(self, events: Iterable[RecordedEvent]) -> list[KeyedEvent]:
        """The events of this table that are not skipped, with the keys of the rows that they change."""
        types, skips, keys = frozenset(self.projection.events), self.skips, self.projection.keys
        return [
            (event, tuple(keys(event)))
            for event in events
            if type(event.event) in types and (not skips or event.position not in skips)
        ]

    def chunk(self, events: Sequence[KeyedEvent], start: int) -> Sequence[KeyedEvent]:
        """Events from `start` on, as many as change about `rows_at_once` rows."""
        size = 0
        for place in range(start, len(events)):
            size += len(events[place][1])
            if size > self._rows_at_once and place > start:
                return events[start:place]
        return events[start:] if start else events

    async def read(self, connection: psycopg.AsyncConnection, keys: Sequence[Key]) -> tuple[Rows, int]:
        """The rows that exist among `keys`, and the bytes of their columns with a variable size."""
        if not keys or self.projection.append_only:
            return {}, 0
        rows, size = Rows(), 0
        async with connection.cursor(binary=True) as cursor:
            columns = [list(column) for column in zip(*keys, strict=True)]
            stream = cursor.stream(self._statements.select, columns, size=CHUNK)
            assert isinstance(stream, AsyncGenerator), "psycopg's stream can be closed early"
            async with contextlib.aclosing(stream) as cursor_rows:
                async for values in cursor_rows:
                    size += self._size(values)
                    if size > ROWS_BYTES and len(rows) > 1:
                        self._rows_at_once = max(1, min(self._rows_at_once, len(rows)) // 4)
                        raise TooManyBytes(f"{self.name}: {len(rows)} rows of {size} bytes")
                    rows[tuple([values[index] for index in self._key])] = self._from_columns(values)
        self._adapt_reads(size, len(rows))
        return rows, size

    def _adapt_reads(self, size: int, rows: int) -> None:
        """Adapts the number of rows at once to the size of the rows read."""
        if rows:
            self._size_is_known = True
            fitting = ROWS_BYTES // 4 // max(size // rows, 1)
            self._rows_at_once = max(1, min(fitting, self._rows_at_once * 8, MAX_READ))

    @property
    def rows_in_pipeline(self) -> int:
        """The number of rows that `start_read` may read."""
        return self._rows_at_once if self._size_is_known else min(FIRST_IN_PIPELINE, self._rows_at_once)

    async def start_read(self, connection: psycopg.AsyncConnection, keys: Sequence[Key]) -> PendingRead | None:
        """Sends the query for a few rows in a pipeline; `finish_read` returns them."""
        if not keys or self.projection.append_only:
            return None
        columns = [list(column) for column in zip(*keys, strict=True)]
        return await connection.execute(self._statements.select, columns, binary=True)

    async def finish_read(self, read: PendingRead | None) -> Rows:
        """The rows that `start_read` has requested, by key."""
        rows = await read.fetchall() if read else []
        self._adapt_reads(sum(map(self._size, rows)), len(rows))
        return {tuple([values[index] for index in self._key]): self._from_columns(values) for values in rows}

    async def send(self, connection: psycopg.AsyncConnection, changes: Changes) -> None:
        """Writes a few rows in a pipeline: one statement for deleted rows, one for the others."""
        rows = [*changes.updated, *changes.inserted]
        if self._statements.upsert_many is None or len(rows) < SINGLE_BELOW:
            await self._send_one_by_one(connection, changes.deleted, rows)
            return
        await self._send_one_by_one(connection, changes.deleted, [])
        columns = [list(column) for column in zip(*map(self._to_columns, rows), strict=True)]
        await connection.execute(self._statements.upsert_many, columns)

    async def _send_one_by_one(
        self, connection: psycopg.AsyncConnection, deleted: Sequence[Key], rows: Sequence[Any]
    ) -> None:
        if deleted:
            columns = [list(column) for column in zip(*deleted, strict=True)]
            await connection.execute(self._statements.delete, columns)
        for row in rows:
            await connection.execute(self._statements.upsert, self._to_columns(row))

    def _size(self, values: tuple[Any, ...]) -> int:
        """Bytes of the columns with a variable size."""
        return sum([len(value) for index in (*self._json, *self._texts) if (value := values[index]) is not None])

    async def write(self, connection: psycopg.AsyncConnection, changes: Changes) -> None:
        """Deletes, updates, then inserts, so that a row may take the place of another one in a unique index."""
        inserted, updated = changes.inserted, changes.updated
        if len(inserted) < SINGLE_BELOW:
            inserted, updated = [], updated + inserted
        is_few = len(updated) < (STAGE_FROM if self._statements.upsert_many is None else ARRAYS_TO)
        if changes.deleted or (updated and is_few):
            async with connection.pipeline():
                await self.send(connection, Changes(updated=updated if is_few else [], deleted=changes.deleted))
        if not is_few:
            await connection.execute(self._statements.stage)
            await connection.execute(self._statements.empty_stage)
            await self._copy(connection, self._statements.copy_staged, updated)
            await connection.execute(self._statements.merge)
        if inserted:
            await self._copy(connection, self._statements.copy, inserted)

    async def _copy(self, connection: psycopg.AsyncConnection, statement: bytes, rows: Iterable[Any]) -> None:
        columns = self._to_columns if self._json else msgspec.structs.astuple
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(self._oids)
            for row in rows:
                await copy.write_row(columns(row))

    def _to_columns(self, row: Any) -> Sequence[Any]:
        values = msgspec.structs.astuple(row)
        if not self._json:
            return values
        columns = list(values)
        for index in self._json:
            if columns[index] is not None:
                columns[index] = Json(columns[index], dumps=msgspec.json.encode)
        return columns

    def _from_columns(self, values: tuple[Any, ...]) -> Any:
        if self._json:
            columns = list(values)
            for index, decode in self._decoders.items():
                if columns[index] is not None:
                    columns[index] = decode(columns[index])
            return self.projection.row(*columns)
        return self.projection.row(*values)


class _JsonBytes(Loader):
    """Loads `json` as bytes, which are decoded as the type of the row's field."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)
