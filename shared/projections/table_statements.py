"""The SQL statements of one read table."""

from collections.abc import Iterable
from typing import Any

from psycopg import sql

from shared.projections.projection import Projection


class TableStatements:
    """A table's SQL, rendered once, since psycopg would render a composed statement at each execution."""

    def __init__(self, projection: Projection[Any], name: str, types: dict[str, tuple[int, str]]) -> None:
        def names(columns: Iterable[str]) -> sql.Composed:
            return sql.SQL(", ").join(map(sql.Identifier, columns))

        table, staged = sql.Identifier(name), sql.Identifier(f"staged_{name}")
        columns, key = names(projection.columns), names(projection.key)
        rest = [column for column in projection.columns if column not in projection.key]
        sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in rest)
        resolve = sql.SQL("update set {}").format(sets) if rest else sql.SQL("nothing")
        # %b: whole columns, sent in binary, which PostgreSQL need not parse.
        arrays = sql.SQL(", ").join(sql.SQL("%b::" + types[column][1] + "[]") for column in projection.key)
        self.copy = sql.SQL("copy {} ({}) from stdin (format binary)").format(table, columns).as_bytes()
        self.copy_staged = sql.SQL("copy {} ({}) from stdin (format binary)").format(staged, columns).as_bytes()
        self.stage = (
            sql.SQL("create temporary table if not exists {} (like {}) on commit delete rows")
            .format(staged, table)
            .as_bytes()
        )
        # `truncate` would write to the catalogue.
        self.empty_stage = sql.SQL("delete from {}").format(staged).as_bytes()
        self.merge = (
            sql.SQL("insert into {} ({}) select {} from {} on conflict ({}) do {}")
            .format(table, columns, columns, staged, key, resolve)
            .as_bytes()
        )
        self.upsert = (
            sql.SQL("insert into {} ({}) values ({}) on conflict ({}) do {}")
            .format(table, columns, sql.SQL(", ").join(sql.Placeholder() for _ in projection.columns), key, resolve)
            .as_bytes()
        )
        self.upsert_many: bytes | None = None
        """Upserts rows, one array per column; None for a table with an array column, since `unnest` flattens it."""
        if not any(types[column][1].endswith("[]") for column in projection.columns):
            values = sql.SQL(", ").join(sql.SQL("%b::" + types[column][1] + "[]") for column in projection.columns)
            self.upsert_many = (
                sql.SQL("insert into {} ({}) select * from unnest({}) on conflict ({}) do {}")
                .format(table, columns, values, key, resolve)
                .as_bytes()
            )
        self.select = (
            sql.SQL("select {} from {} join unnest({}) as wanted ({}) using ({})")
            .format(columns, table, arrays, key, key)
            .as_bytes()
        )
        self.delete = (
            sql.SQL("delete from {} using unnest({}) as gone ({}) where ({}) = ({})")
            .format(table, arrays, key, _of(table, projection.key), _of(sql.Identifier("gone"), projection.key))
            .as_bytes()
        )


def _of(table: sql.Identifier, columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(table + sql.SQL(".") + sql.Identifier(column) for column in columns)
