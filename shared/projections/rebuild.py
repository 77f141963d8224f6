"""Builds a read table anew from position 0 beside the live one, compares the two, swaps them in one transaction."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from shared.eventstore import Batch, EventStore
from shared.eventstore.connections import LONG, connected
from shared.projections.projection import Projection, fold_batch
from shared.projections.tables import Table

BATCH = 2_000
"""Events per step: enough for COPY to pay. With ten times as many, each takes half as long again: the garbage collector
has more to visit."""

POSITION = "select position from projections where name = %s"
LOCKED = "select position from projections where name = %s for update"
SWAPPED = "update projections set version = %s, position = %s where name = %s"
INDEXES = "select indexname from pg_indexes where schemaname = current_schema() and tablename = %s"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How a rebuild went. `missing` and `extra` are rows that only the live or only the rebuilt table had."""

    events: int
    position: int
    missing: int
    extra: int


async def rebuild(
    store: EventStore,
    projection: Projection[Any],
    *,
    to: int | None = None,
    swap: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Rebuilt:
    """Rebuilds one table while its projector goes on; cancel it at any point and nothing has changed.

    `progress` gets (position reached, position of the live table). `swap=False` only compares. `to`: the position that
    the table shall have when no projector is running (the other tables' position); else it is the live table's own.
    """
    name = f"{projection.name}__rebuild"
    async with connected(store.dsn, "rebuild", LONG) as connection:
        connection.prepare_threshold = 0
        await connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (name,))
        await connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(name)))
        table = await Table.open(connection, projection, name)
        await connection.commit()
        position = events = 0
        # Never further than the live table is: what it has not seen, it will apply to the rebuilt one.
        while (live := max(to or 0, await _live(connection, POSITION, projection))) - position > BATCH:
            position, count = await _apply(store, connection, table, position, live, progress)
            await connection.commit()
            events += count
            if not count:
                break
        # The row lock stops the projector between two of its batches, for as long as the last few events take.
        live = max(to or 0, await _live(connection, LOCKED, projection))
        _, few = await _apply(store, connection, table, position, live, progress)
        missing, extra = await _differences(connection, projection.name, name)
        if swap:
            await _swap(connection, projection, name, live)
        else:
            await connection.execute(sql.SQL("drop table {}").format(sql.Identifier(name)))
        await connection.commit()
        if progress:
            progress(live, live)
        return Rebuilt(events + few, live, missing, extra)


async def _live(connection: psycopg.AsyncConnection, query: str, projection: Projection[Any]) -> int:
    """Where the live table stands."""
    row = await (await connection.execute(query, (projection.name,))).fetchone()
    return int(row[0]) if row else 0


async def _apply(
    store: EventStore,
    connection: psycopg.AsyncConnection,
    table: Table,
    position: int,
    goal: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[int, int]:
    """Applies the events up to `goal`; returns where that ended, and how many there were.

    The next batch is read while this one is written, so that PostgreSQL and we both have work.
    """
    projection = table.projection
    events = 0

    def read(after: int) -> asyncio.Task[Batch]:
        return asyncio.create_task(store.read_batch(after, BATCH, projection.types, upto=goal))

    reading = read(position)
    try:
        while (batch := await reading).size:
            reading = read(batch.position)
            touched = [(event, tuple(projection.keys(event))) for event in batch.events]
            before = await table.read(connection, list({key for _, keys in touched for key in keys}))
            await table.write(connection, before, fold_batch(projection, touched, before))
            position, events = batch.position, events + batch.size
            if progress:
                progress(position, goal)
    finally:
        reading.cancel()
    return position, events


async def _differences(connection: psycopg.AsyncConnection, live: str, rebuilt: str) -> tuple[int, int]:
    """Rows that only one of the two tables has; (0, 0) also when their columns are no longer the same."""
    counts = []
    for one, other in ((live, rebuilt), (rebuilt, live)):
        difference = sql.SQL(
            "select count(*) from (select * from {} except all select * from {}) as difference"
        ).format(sql.Identifier(one), sql.Identifier(other))
        try:
            async with connection.transaction():
                row = await (await connection.execute(difference)).fetchone()
        except (psycopg.errors.SyntaxError, psycopg.errors.DatatypeMismatch):
            return 0, 0
        counts.append(int(row[0]) if row else 0)
    return counts[0], counts[1]


async def _swap(connection: psycopg.AsyncConnection, projection: Projection[Any], rebuilt: str, position: int) -> None:
    await connection.execute(sql.SQL("drop table {}").format(sql.Identifier(projection.name)))
    indexes = await (await connection.execute(INDEXES, (rebuilt,))).fetchall()
    for (index,) in indexes:
        await connection.execute(
            sql.SQL("alter index {} rename to {}").format(
                sql.Identifier(index), sql.Identifier(index.replace(rebuilt, projection.name, 1))
            )
        )
    await connection.execute(
        sql.SQL("alter table {} rename to {}").format(sql.Identifier(rebuilt), sql.Identifier(projection.name))
    )
    await connection.execute(SWAPPED, (projection.version, position, projection.name))
