"""Reading and writing a projection's rows, many at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from shared.projections.projection import Key, Projection, Rows

STAGE_FROM = 50
"""From so many changed rows on, COPY into a staging table and one merge beat single statements in a pipeline."""

TYPES = """
select attname, atttypid, format_type(atttypid, atttypmod) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped"""


class Table:
    """A projection's rows in one table: the live one (`jobs`) or one that is being rebuilt (`jobs__rebuild`)."""

    def __init__(self, projection: Projection[Any], name: str, types: dict[str, tuple[int, str]]) -> None:
        self.projection, self.name = projection, name
        self._oids = tuple(types[column][0] for column in projection.columns)
        self._jsonb = tuple(index for index, column in enumerate(projection.columns) if types[column][1] == "jsonb")
        self._statements = _Statements(projection, name, types)

    @classmethod
    async def open(cls, connection: psycopg.AsyncConnection, projection: Projection[Any], name: str) -> "Table":
        """The table, created when it does not exist. Raises KeyError for a row field that has no column."""
        await cls.create(connection, projection, name)
        rows = await (await connection.execute(TYPES, (name,))).fetchall()
        return cls(projection, name, {column: (oid, type_name) for column, oid, type_name in rows})

    @classmethod
    async def create(cls, connection: psycopg.AsyncConnection, projection: Projection[Any], name: str) -> None:
        """Unless it exists, in whichever version."""
        exists = await (await connection.execute("select to_regclass(%s)", (name,))).fetchone()
        if exists is None or exists[0] is None:
            await connection.execute(projection.ddl.replace("{table}", name).encode(), prepare=False)

    async def read(self, connection: psycopg.AsyncConnection, keys: Sequence[Key]) -> Rows:
        """The rows that exist among `keys`."""
        if not keys or self.projection.append_only:
            return {}
        cursor = connection.cursor(binary=True)
        await cursor.execute(self._statements.select, [list(column) for column in zip(*keys, strict=True)])
        rows = (self._from_columns(values) for values in await cursor.fetchall())
        return {tuple(getattr(row, column) for column in self.projection.key): row for row in rows}

    async def write(self, connection: psycopg.AsyncConnection, before: Rows, changed: Rows) -> None:
        """Inserts, updates and (None) deletes; `before` are the rows that `read` found."""
        added = [row for key, row in changed.items() if row is not None and key not in before]
        edited = [row for key, row in changed.items() if row is not None and key in before]
        gone = [key for key, row in changed.items() if row is None and key in before]
        if len(added) >= STAGE_FROM:
            await self._copy(connection, self._statements.copy, added)
        else:
            edited += added
        if len(edited) >= STAGE_FROM:
            await connection.execute(self._statements.stage)
            await self._copy(connection, self._statements.copy_staged, edited)
            await connection.execute(self._statements.merge)
            await connection.execute(self._statements.unstage)
        elif edited:
            async with connection.pipeline():
                for row in edited:
                    await connection.execute(self._statements.upsert, self._to_columns(row))
        for key in gone:
            await connection.execute(self._statements.delete, key)

    async def _copy(self, connection: psycopg.AsyncConnection, statement: sql.Composed, rows: Iterable[Any]) -> None:
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(self._oids)
            for row in rows:
                await copy.write_row(self._to_columns(row))

    def _to_columns(self, row: Any) -> Sequence[Any]:
        values = msgspec.structs.astuple(row)
        if not self._jsonb:
            return values
        columns = list(values)
        for index in self._jsonb:
            if columns[index] is not None:
                columns[index] = Jsonb(columns[index], dumps=msgspec.json.encode)
        return columns

    def _from_columns(self, values: tuple[Any, ...]) -> Any:
        fields = dict(zip(self.projection.columns, values, strict=True))
        return msgspec.convert(fields, self.projection.row)


class _Statements:
    """A table's SQL, composed once."""

    def __init__(self, projection: Projection[Any], name: str, types: dict[str, tuple[int, str]]) -> None:
        def names(columns: Iterable[str]) -> sql.Composed:
            return sql.SQL(", ").join(map(sql.Identifier, columns))

        table, staged = sql.Identifier(name), sql.Identifier(f"staged_{name}")
        columns, key = names(projection.columns), names(projection.key)
        rest = [column for column in projection.columns if column not in projection.key]
        sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in rest)
        resolve = sql.SQL("update set {}").format(sets) if rest else sql.SQL("nothing")
        arrays = sql.SQL(", ").join(sql.SQL("%b::" + types[column][1] + "[]") for column in projection.key)
        self.copy = sql.SQL("copy {} ({}) from stdin (format binary)").format(table, columns)
        self.copy_staged = sql.SQL("copy {} ({}) from stdin (format binary)").format(staged, columns)
        self.stage = sql.SQL("create temporary table if not exists {} (like {})").format(staged, table)
        self.unstage = sql.SQL("drop table {}").format(staged)
        self.merge = sql.SQL("insert into {} ({}) select {} from {} on conflict ({}) do {}").format(
            table, columns, columns, staged, key, resolve
        )
        self.upsert = sql.SQL("insert into {} ({}) values ({}) on conflict ({}) do {}").format(
            table, columns, sql.SQL(", ").join(sql.Placeholder() for _ in projection.columns), key, resolve
        )
        self.select = sql.SQL("select {} from {} join unnest({}) as wanted ({}) using ({})").format(
            columns, table, arrays, key, key
        )
        self.delete = sql.SQL("delete from {} where ({}) = ({})").format(
            table, key, sql.SQL(", ").join(sql.Placeholder() for _ in projection.key)
        )
