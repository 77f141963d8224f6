"""Builds a read table from position 0 beside the live one, compares the two, and swaps them.

It blocks others only for as long as a rename takes:
- The build commits each batch with its position. After a cancellation, the next rebuild continues from there.
- The comparison reads both tables in one transaction's snapshot, in which the live table does not change. It takes no
  locks, whatever the tables' size.
- The swap locks the live table's position, so that its projector waits, applies the events recorded since, and renames
  both tables. If a lock is not free within `LOCK_TIMEOUT`, the transaction is rolled back and retried.
- The old table is dropped afterwards, once no query reads it.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from shared.backoff import Backoff
from shared.eventstore import EventStore
from shared.eventstore.connections import WORK, connected
from shared.garbage_collection import collect_seldom
from shared.projections import positions
from shared.projections.catch_up import BATCH, Progress, advance
from shared.projections.comparison import Difference, compare
from shared.projections.fingerprint import fingerprint
from shared.projections.projection import Projection, rebuild_name
from shared.projections.table import Table
from shared.projections.table_group import TableGroup

LOCK_TIMEOUT = "100ms"
"""The time that a rename or a drop may wait for its lock, since later queries on the table queue behind it."""
SWAP_WITHIN = 300.0
"""Seconds for which the swap is retried."""
MAX_UNDER_LOCK = 100
"""Positions that the swap may have to apply while it locks the live table's position."""

BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

LOCK_POSITION = "select position from read_tables where name = %s for update"
DELETE_POSITION = "delete from read_tables where name = %s"
SELECT_FINGERPRINT = "select fingerprint, to_regclass(name) is not null from read_tables where name = %s"
SELECT_INDEXES = "select indexname from pg_indexes where schemaname = current_schema() and tablename = %s"
SET_COMMIT_ASYNC = "set synchronous_commit = off"
"""Rows and position are in one transaction: a crash of PostgreSQL may lose both, and the next rebuild writes them."""
SET_COMMIT_DURABLE = "set local synchronous_commit = on"
"""For the swap; makes all earlier commits durable, too."""
TRY_LOCK_REBUILD = "select pg_try_advisory_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a rebuild. `missing` and `extra` count rows that only the live or only the rebuilt table has.

    `not_compared` says why the tables were not compared; then both are 0.
    """

    events: int
    position: int
    missing: int
    extra: int
    not_compared: str | None = None
    resumed_at: int = 0
    """The position from which an unfinished rebuild was continued; 0 for a new one."""

    @property
    def same(self) -> bool:
        """Whether the tables were compared and have equal rows."""
        return not (self.missing or self.extra or self.not_compared)


async def rebuild(
    store: EventStore,
    projection: Projection[Any],
    *,
    swap: bool = True,
    fresh: bool = False,
    progress: Progress | None = None,
    compared: Callable[[int], None] | None = None,
    differing: Callable[[Difference], None] | None = None,
) -> Rebuilt:
    """Rebuilds one table while its projector continues.

    A cancellation leaves the live table unchanged, and the next rebuild continues from the position reached, unless the
    projection's code has changed or `fresh` is set. `swap=False` only compares, and drops the rebuilt table.
    `progress` is called with (position reached, position of the live table), `compared` with the rows compared so far,
    `differing` with each row that differs.
    Raises Stuck at an event that the rebuilt table can't apply.
    """
    name = rebuild_name(projection.table)
    async with (
        connected(store.dsn, "rebuild", WORK, autocommit=True, prepare_threshold=0) as connection,
        _only_rebuild(connection, name),
    ):
        await connection.execute(SET_COMMIT_ASYNC)
        with collect_seldom():
            group = await _open(connection, projection, name, fresh=fresh)
            resumed_at, events = group.position, 0
            # Not further than the live table: after the swap, the projector continues from the live table's position.
            while True:
                events += await advance(store, group, await _live(connection, projection), progress=progress)
                if await _live(connection, projection) - group.position <= BATCH:
                    break
            async with _snapshot(connection):
                live = await _live(connection, projection)
                events += await advance(store, group, live, progress=progress)
                comparison = await compare(connection, projection, name, compared, differing)
        if swap:
            events += await _swap(store, group, projection)
        await _drop(connection, name)
        if progress:
            progress(live, live)
        return Rebuilt(
            events, group.position, comparison.missing, comparison.extra, comparison.not_compared, resumed_at
        )


async def _live(connection: psycopg.AsyncConnection, projection: Projection[Any]) -> int:
    """The live table's position."""
    return await positions.position_of(connection, projection.table)


@contextlib.asynccontextmanager
async def _only_rebuild(connection: psycopg.AsyncConnection, name: str) -> AsyncIterator[None]:
    """Waits until no other process rebuilds the table; holds an advisory lock until the connection ends."""

    async def lock() -> None:
        row = await (await connection.execute(TRY_LOCK_REBUILD, (name,))).fetchone()
        if not (row and row[0]):
            raise _Busy(f"another process is building {name}")

    await Backoff(name, on=(_Busy,), longest=1.0).call(lock)
    yield


class _Busy(Exception):  # noqa: N818 - a state
    """Another process rebuilds the table."""


async def _open(
    connection: psycopg.AsyncConnection, projection: Projection[Any], name: str, *, fresh: bool
) -> TableGroup:
    """The table to build: that of an unfinished rebuild, or a new one."""
    code = fingerprint(projection)
    unfinished = await (await connection.execute(SELECT_FINGERPRINT, (name,))).fetchone()
    if unfinished is not None and (fresh or unfinished != (code, True)):
        await _drop(connection, name)
    async with connection.transaction():
        await positions.register(connection, name, fingerprint=code)
        await Table.create(connection, projection, name)
    skips = await positions.skips_of(connection, projection.table)
    table = await Table.open(connection, projection, name, skips)
    return TableGroup(connection, [table], await positions.position_of(connection, name), status="building")


@contextlib.asynccontextmanager
async def _snapshot(connection: psycopg.AsyncConnection) -> AsyncIterator[None]:
    """A transaction with one snapshot, in which the live table does not change, though others write to it."""
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read")
        # Ranges of keys are read by the index, whatever the statistics say.
        await connection.execute("set local enable_seqscan = off")
        yield


async def _swap(store: EventStore, group: TableGroup, projection: Projection[Any]) -> int:
    """Replaces the live table with the rebuilt one; returns how many events it applied for this."""
    connection, live, events = group.connection, projection.table, 0

    async def catch_up() -> None:
        nonlocal events
        while (goal := await positions.position_of(connection, live)) - group.position > MAX_UNDER_LOCK:
            events += await advance(store, group, goal)

    async def swap() -> None:
        nonlocal events
        await catch_up()
        began = group.position
        try:
            async with connection.transaction():
                await connection.execute(SET_COMMIT_DURABLE)
                await connection.execute(sql.SQL("set local lock_timeout = {}").format(LOCK_TIMEOUT))
                goal = await _locked(connection, live)
                last = await advance(store, group, goal)
                await _rename(connection, live, f"{live}__old")
                await _rename(connection, group.names[0], live)
                await connection.execute(DELETE_POSITION, (group.names[0],))
        except BaseException:
            group.position = began
            raise
        events += last

    await _drop_table(connection, f"{live}__old")  # left by a rebuild that was interrupted before its drop
    await Backoff(f"swap of {live}", on=BUSY, first=0.05, longest=1.0).call(swap, timeout=SWAP_WITHIN)
    await _drop_table(connection, f"{live}__old")
    return events


async def _locked(connection: psycopg.AsyncConnection, live: str) -> int:
    """Locks the live table's position and returns it: its projector waits until the transaction ends."""
    row = await (await connection.execute(LOCK_POSITION, (live,))).fetchone()
    return int(row[0]) if row else 0


async def _rename(connection: psycopg.AsyncConnection, table: str, name: str) -> None:
    """Renames a table and its indexes, whose names begin with the table's."""
    for (index,) in await (await connection.execute(SELECT_INDEXES, (table,))).fetchall():
        await connection.execute(
            sql.SQL("alter index {} rename to {}").format(
                sql.Identifier(index), sql.Identifier(index.replace(table, name, 1))
            )
        )
    await connection.execute(sql.SQL("alter table {} rename to {}").format(sql.Identifier(table), sql.Identifier(name)))


async def _drop(connection: psycopg.AsyncConnection, name: str) -> None:
    """Drops the table that was being built, and its position."""
    await _drop_table(connection, name)
    await connection.execute(DELETE_POSITION, (name,))


async def _drop_table(connection: psycopg.AsyncConnection, name: str) -> None:
    async def drop() -> None:
        async with connection.transaction():
            await connection.execute(sql.SQL("set local lock_timeout = {}").format(LOCK_TIMEOUT))
            await connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(name)))

    await Backoff(f"drop of {name}", on=BUSY, first=0.05, longest=1.0).call(drop, timeout=SWAP_WITHIN)
