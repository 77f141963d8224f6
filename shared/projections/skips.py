"""Events that an operator skips for a read table, permanently and with a reason."""

from datetime import datetime

import msgspec

from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.projections import positions
from shared.projections.projection import rebuild_name

LOCK_POSITIONS = """
select name, position, stuck_at, error from read_tables where name in (%s, %s) order by position for share"""
INSERT_SKIP = """
insert into read_table_skips (table_name, position, event, error, reason, actor) values (%s, %s, %s, %s, %s, %s)
on conflict do nothing"""
SELECT_SKIPS = """
select table_name, position, event, error, reason, actor, skipped_at from read_table_skips
where table_name = any(%s) order by table_name, position"""


class Skip(msgspec.Struct, frozen=True):
    """A skipped event. `error`: with which the table was stuck on it; empty if it was not."""

    table: str
    position: int
    event: str
    error: str
    reason: str
    actor: str
    skipped_at: datetime


async def skip(store: EventStore, table: str, position: int, *, reason: str, actor: str) -> Skip:
    """Lets the table continue without the event at `position`, now and in every rebuild.

    Raises Problem NOT_FOUND for a table or an event that does not exist, and CONFLICT for an event that the table has
    applied, or that is skipped already.
    """
    async with store.pool.connection() as connection, connection.transaction():
        rows = await (await connection.execute(LOCK_POSITIONS, (table, rebuild_name(table)))).fetchall()
        if all(row[0] != table for row in rows):
            raise Problem("NOT_FOUND", f"there is no read table {table}")
        event = await positions.next_event(connection, position - 1)
        if event is None or event.position != position:
            raise Problem("NOT_FOUND", f"there is no event at position {position}")
        if all(at >= position for _, at, _, _ in rows):
            raise Problem(
                "CONFLICT",
                f"{table} has applied the event at {position}: only a new table version can undo that",
            )
        error = next((error or "" for _, _, stuck_at, error in rows if stuck_at == position), "")
        recorded = await connection.execute(INSERT_SKIP, (table, position, event.text, error, reason, actor))
        if not recorded.rowcount:
            raise Problem("CONFLICT", f"the event at {position} is already skipped for {table}")
    return next(skip for skip in await list_skips(store, [table]) if skip.position == position)


async def list_skips(store: EventStore, tables: list[str]) -> list[Skip]:
    """The skips of these tables, ordered by table and position."""
    async with store.pool.connection() as connection:
        rows = await (await connection.execute(SELECT_SKIPS, (tables,))).fetchall()
    return [Skip(*row) for row in rows]
