"""Reading and writing a projection's rows, many at a time."""

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
from shared.projections.projection import Key, Projection, Rows, Touched, fold_batch
from shared.projections.table_statements import TableStatements

STAGE_FROM = 50
"""From this number of changed rows on, COPY into a staging table and one merge are faster than single statements."""
ARRAYS_TO = 300
"""Up to this number of changed rows, one statement with arrays is faster than both."""
SEVERAL = 3
"""From this number of rows on, one COPY of new rows, or one statement with arrays, is faster than a statement for each:
of 24 rows of 28 columns, each takes 20, 40 or 66 us."""
FEW, MANY = 64, 4096
"""How many rows are read at once, at first and at most."""
ROWS_BYTES = 16 * 1024 * 1024
"""A read of more bytes is broken off, and repeated for fewer rows."""
CHUNK = 256
"""How many rows the server sends at a time."""

SELECT_COLUMN_TYPES = """
select attname, atttypid, format_type(atttypid, atttypmod) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped"""


Asked = psycopg.AsyncCursor[tuple[Any, ...]]


class TooManyBytes(Exception):  # noqa: N818 - a state: the same with fewer rows at a time works
    """The rows of one read are too large. The transaction can't go on, and is repeated with fewer rows at a time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows to be written: those that the table does not have yet, those that it has, and the keys of those to go."""

    added: list[Any] = field(default_factory=list)
    edited: list[Any] = field(default_factory=list)
    gone: list[Key] = field(default_factory=list)

    @classmethod
    def between(cls, before: Rows, changed: Rows) -> "Changes":
        """`before` are the rows that the table has; of `changed`, None says that the row is to go."""
        changes = cls()
        for key, row in changed.items():
            if row is None:
                if key in before:
                    changes.gone.append(key)
            elif key in before:
                changes.edited.append(row)
            else:
                changes.added.append(row)
        return changes


class Table:
    """A projection's rows in one table: the live one (`jobs_v3`), or one that is being rebuilt (`jobs_v3__rebuild`)."""

    def __init__(
        self, projection: Projection[Any], name: str, types: dict[str, tuple[int, str]], skips: frozenset[int]
    ) -> None:
        self.projection, self.name = projection, name
        self.skips = skips
        """Positions of the events that an operator leaves out."""
        self._oids = tuple(types[column][0] for column in projection.columns)
        self._json = tuple(index for index, column in enumerate(projection.columns) if types[column][1] == "json")
        self._texts = tuple(index for index, column in enumerate(projection.columns) if types[column][1] == "text")
        fields = msgspec.structs.fields(projection.row)
        self._decoders = {index: msgspec.json.Decoder(fields[index].type).decode for index in self._json}
        self._key = tuple(projection.columns.index(column) for column in projection.key)
        self.is_of_fixed_size = not (self._json or self._texts)
        """No column may grow: not with a text, nor with JSON."""
        self._statements = TableStatements(projection, name, types)
        self._at_once = FEW if (self._json or self._texts) and not projection.append_only else MANY

    @classmethod
    async def open(
        cls,
        connection: psycopg.AsyncConnection,
        projection: Projection[Any],
        name: str | None = None,
        skips: frozenset[int] = frozenset(),
    ) -> "Table":
        """Raises KeyError for a row field that has no column, and TypeError for a `jsonb` column."""
        name = name or projection.table
        connection.adapters.register_loader("json", _JsonBytes)
        rows = await (await connection.execute(SELECT_COLUMN_TYPES, (name,))).fetchall()
        types = {column: (oid, type_name) for column, oid, type_name in rows}
        if binary := [column for column in projection.columns if types[column][1] == "jsonb"]:
            raise TypeError(f"{name}: {', '.join(binary)}: jsonb changes numbers and the order of keys; use json")
        return cls(projection, name, types, skips)

    @classmethod
    async def create(cls, connection: psycopg.AsyncConnection, projection: Projection[Any], name: str) -> None:
        """Creates the table, unless it exists."""
        exists = await (await connection.execute("select to_regclass(%s)", (name,))).fetchone()
        if exists is None or exists[0] is None:
            await connection.execute(projection.ddl.replace("{table}", name).encode(), prepare=False)

    async def apply(self, connection: psycopg.AsyncConnection, events: Iterable[RecordedEvent]) -> None:
        """Folds events into the rows that they change, some rows at a time, so that memory stays bounded.

        Raises the fold's exceptions and PostgreSQL's. Raises TooManyBytes when rows are larger than expected: then the
        caller repeats it, and fewer rows are read at a time.
        """
        touched, start = self.touched(events), 0
        while start < len(touched):
            piece = self.piece(touched, start)
            start += len(piece)
            before, _ = await self.read(connection, list({key for _, keys in piece for key in keys}))
            await self.write(connection, Changes.between(before, fold_batch(self.projection, piece, before)))

    def touched(self, events: Iterable[RecordedEvent]) -> list[Touched]:
        """The events of this table with the keys of the rows that they change."""
        wanted, skips, keys = frozenset(self.projection.events), self.skips, self.projection.keys
        return [
            (event, tuple(keys(event)))
            for event in events
            if type(event.event) in wanted and (not skips or event.position not in skips)
        ]

    def piece(self, touched: Sequence[Touched], start: int) -> Sequence[Touched]:
        """From `start` on, as many as have about as many keys as rows may be read at once."""
        size = 0
        for place in range(start, len(touched)):
            size += len(touched[place][1])
            if size > self._at_once and place > start:
                return touched[start:place]
        return touched[start:] if start else touched

    async def read(self, connection: psycopg.AsyncConnection, keys: Sequence[Key]) -> tuple[Rows, int]:
        """The rows that exist among `keys`, and how many bytes their columns without a fixed size have."""
        if not keys or self.projection.append_only:
            return {}, 0
        rows, size = Rows(), 0
        async with connection.cursor(binary=True) as cursor:
            columns = [list(column) for column in zip(*keys, strict=True)]
            stream = cursor.stream(self._statements.select, columns, size=CHUNK)
            assert isinstance(stream, AsyncGenerator), "one that can be left early"
            async with contextlib.aclosing(stream) as found:
                async for values in found:
                    size += self._size(values)
                    if size > ROWS_BYTES and len(rows) > 1:
                        self._at_once = max(1, min(self._at_once, len(rows)) // 4)
                        raise TooManyBytes(f"{self.name}: {len(rows)} rows of {size} bytes")
                    rows[tuple([values[index] for index in self._key])] = self._from_columns(values)
        self._learn(size, len(rows))
        return rows, size

    def _learn(self, size: int, rows: int) -> None:
        """How many rows may be read at once, of the size that these had."""
        if rows:
            fitting = ROWS_BYTES // 4 // max(size // rows, 1)
            self._at_once = max(1, min(fitting, self._at_once * 8, MANY))

    @property
    def at_once(self) -> int:
        """How many rows may be read at once."""
        return self._at_once

    async def ask(self, connection: psycopg.AsyncConnection, keys: Sequence[Key]) -> Asked | None:
        """`read` of a few rows in a pipeline: their query is sent, and `answered` gets them."""
        if not keys or self.projection.append_only:
            return None
        columns = [list(column) for column in zip(*keys, strict=True)]
        return await connection.execute(self._statements.select, columns, binary=True)

    async def answered(self, asked: Asked | None) -> Rows:
        found = await asked.fetchall() if asked else []
        self._learn(sum(map(self._size, found)), len(found))
        return {tuple([values[index] for index in self._key]): self._from_columns(values) for values in found}

    async def send(self, connection: psycopg.AsyncConnection, changes: Changes) -> None:
        """`write` of a few rows in a pipeline: one statement for rows that go, one for those that come or change."""
        rows = [*changes.edited, *changes.added]
        if self._statements.upsert_many is None or len(rows) < SEVERAL:
            await self._send_one_by_one(connection, changes.gone, rows)
            return
        await self._send_one_by_one(connection, changes.gone, [])
        columns = [list(column) for column in zip(*map(self._to_columns, rows), strict=True)]
        await connection.execute(self._statements.upsert_many, columns)

    async def _send_one_by_one(
        self, connection: psycopg.AsyncConnection, gone: Sequence[Key], rows: Sequence[Any]
    ) -> None:
        if gone:
            columns = [list(column) for column in zip(*gone, strict=True)]
            await connection.execute(self._statements.delete, columns)
        for row in rows:
            await connection.execute(self._statements.upsert, self._to_columns(row))

    def _size(self, values: tuple[Any, ...]) -> int:
        """Bytes of the columns that have no fixed size."""
        return sum([len(value) for index in (*self._json, *self._texts) if (value := values[index]) is not None])

    async def write(self, connection: psycopg.AsyncConnection, changes: Changes) -> None:
        """In the order in which a row may take another's place under a unique index: first they go, last they come."""
        added, edited = changes.added, changes.edited
        if len(added) < SEVERAL:
            added, edited = [], edited + added
        is_few = len(edited) < (STAGE_FROM if self._statements.upsert_many is None else ARRAYS_TO)
        if changes.gone or (edited and is_few):
            async with connection.pipeline():
                await self.send(connection, Changes(edited=edited if is_few else [], gone=changes.gone))
        if not is_few:
            await connection.execute(self._statements.stage)
            await connection.execute(self._statements.empty_stage)
            await self._copy(connection, self._statements.copy_staged, edited)
            await connection.execute(self._statements.merge)
        if added:
            await self._copy(connection, self._statements.copy, added)

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
    """Loads `json` as bytes: each column is decoded as the type of the row's field."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)
