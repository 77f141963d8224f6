"""Compares two read tables row by row, in ranges of their keys, in one snapshot and without locks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from shared.projections.projection import Projection

RANGE = 50_000
"""Rows per statement. Each takes well under a second, so that it can be cancelled, and progress be shown."""

SELECT_COLUMNS = """
select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attname"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that the live table and the rebuilt one do not have alike: only one has it, or both with other values."""

    table: str
    key: tuple[Any, ...]
    in_live: bool
    in_rebuilt: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """`missing`: rows of the live table that the rebuilt one lacks or has with other values; `extra`: vice versa.

    `not_compared`: why the tables could not be compared.
    """

    missing: int = 0
    extra: int = 0
    not_compared: str | None = None


async def compare(
    connection: psycopg.AsyncConnection,
    projection: Projection[Any],
    rebuilt: str,
    progress: Callable[[int], None] | None = None,
    differing: Callable[[Difference], None] | None = None,
) -> Comparison:
    """Compares the live table with the rebuilt one, in the connection's snapshot.

    `differing` is called with each difference, if there are any.
    """
    columns = await _columns(connection, projection.table)
    if columns != await _columns(connection, rebuilt):
        return Comparison(not_compared="their columns differ")
    ranges = _Ranges(projection, rebuilt, columns)
    missing = extra = rows = 0
    after: tuple[Any, ...] | None = None
    while True:
        end = await _fetch_one(connection, ranges.end(after), after or ())
        bounds = (*(after or ()), *(end or ()))
        counts = await _fetch_one(connection, ranges.differences(after, end), (*bounds, *bounds))
        assert counts is not None, "an aggregate has a row"
        missing, extra, rows = missing + counts[0], extra + counts[1], rows + counts[2]
        if differing and any(counts[:2]):
            statement = ranges.differing_rows(after, end)
            for *key, in_live, in_rebuilt in await (await connection.execute(statement, (*bounds, *bounds))).fetchall():
                differing(Difference(projection.table, tuple(key), in_live, in_rebuilt))
        if progress:
            progress(rows)
        if end is None:
            return Comparison(missing, extra)
        after = end


async def _fetch_one(
    connection: psycopg.AsyncConnection, query: sql.Composed, values: tuple[Any, ...]
) -> tuple[Any, ...] | None:
    return await (await connection.execute(query, values)).fetchone()


async def _columns(connection: psycopg.AsyncConnection, table: str) -> list[tuple[str, str]]:
    rows = await (await connection.execute(SELECT_COLUMNS, (table,))).fetchall()
    return [(name, f"{kind}{' not null' if required else ''}") for name, kind, required in rows]


class _Ranges:
    """The statements for ranges of keys. A bound of None leaves that side of the range open."""

    def __init__(self, projection: Projection[Any], rebuilt: str, columns: list[tuple[str, str]]) -> None:
        self._key = [sql.Identifier(column) for column in projection.key]
        self._keys = sql.SQL(", ").join(self._key)
        self._live, self._rebuilt = sql.Identifier(projection.table), sql.Identifier(rebuilt)
        self._rows = {side: self._row(side, columns) for side in ("l", "r")}

    @staticmethod
    def _row(side: str, columns: list[tuple[str, str]]) -> sql.Composed:
        """A row's columns for the comparison: `json` has no equality operator, so its text is compared."""
        cells = [
            sql.SQL("{}.{}" + ("::text" if kind.startswith("json") else "")).format(
                sql.Identifier(side), sql.Identifier(name)
            )
            for name, kind in columns
        ]
        return sql.SQL("row({})").format(sql.SQL(", ").join(cells))

    def end(self, after: tuple[Any, ...] | None) -> sql.Composed:
        """Selects the last key of the next range; returns no row when none is left."""
        backwards = sql.SQL(", ").join(sql.SQL("{} desc").format(column) for column in self._key)
        return sql.SQL(
            "select {keys} from (select {keys} from {table}{where} order by {keys} limit {limit}) as next"
            " order by {backwards} limit 1"
        ).format(
            keys=self._keys,
            table=self._rebuilt,
            where=self._where(after, None),
            limit=RANGE,
            backwards=backwards,
        )

    def differences(self, after: tuple[Any, ...] | None, end: tuple[Any, ...] | None) -> sql.Composed:
        """Counts the rows that only the live table has, those that only the rebuilt one has, and all."""
        return sql.SQL(
            "select count(*) filter (where differ and in_live), count(*) filter (where differ and in_rebuilt), count(*)"
            " from ({pairs}) as pairs"
        ).format(pairs=self._pairs(after, end))

    def differing_rows(self, after: tuple[Any, ...] | None, end: tuple[Any, ...] | None) -> sql.Composed:
        """Selects the keys of the rows that differ, and which of the tables have one."""
        return sql.SQL(
            "select {keys}, in_live, in_rebuilt from ({pairs}) as pairs where differ order by {keys}"
        ).format(keys=self._keys, pairs=self._pairs(after, end))

    def _pairs(self, after: tuple[Any, ...] | None, end: tuple[Any, ...] | None) -> sql.Composed:
        where = self._where(after, end)
        return sql.SQL(
            "select {keys}, l.{first} is not null as in_live, r.{first} is not null as in_rebuilt,"
            "       {left} is distinct from {right} as differ"
            " from (select * from {live}{where}) as l full join (select * from {rebuilt}{where}) as r using ({keys})"
        ).format(
            first=self._key[0],
            left=self._rows["l"],
            right=self._rows["r"],
            live=self._live,
            rebuilt=self._rebuilt,
            where=where,
            keys=self._keys,
        )

    def _where(self, after: tuple[Any, ...] | None, end: tuple[Any, ...] | None) -> sql.Composed:
        values = sql.SQL(", ").join(sql.Placeholder() for _ in self._key)
        bounds = [
            sql.SQL("({}) " + operator + " ({})").format(self._keys, values)
            for operator, bound in ((">", after), ("<=", end))
            if bound is not None
        ]
        return sql.SQL(" where {}").format(sql.SQL(" and ").join(bounds)) if bounds else sql.SQL("").format()
