"""The table `read_tables`: each read table's position, its leader, and the event on which it is stuck."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

INSERT_TABLE = "insert into read_tables (name, position, fingerprint) values (%s, %s, %s) on conflict do nothing"
CLAIM_TABLES = """
update read_tables set lease = %(lease)s, leader = %(leader)s
where name = any(%(names)s) and lease <> %(lease)s
  and (lease = '' or lease_is_free(lease))"""
UPDATE_LEADER = "update read_tables set leader = %(leader)s where lease = %(lease)s and leader <> %(leader)s"
SELECT_CLAIMED = "select name, position, status from read_tables where lease = %s and name = any(%s)"
RELEASE_TABLES = "update read_tables set lease = '', leader = '' where lease = %s and leader = %s"
LOCK_TABLES = "select name, position, lease from read_tables where name = any(%s) order by name for update"
UPDATE_POSITION = """
update read_tables set position = %s, status = %s, error = null, event = null, stuck_at = null, failing_since = null,
                       moved_at = clock_timestamp()
where name = any(%s)"""
# `lock` and `move` in one statement; returns the names of the tables that were at the position.
ADVANCE_TABLES = """
with locked as (
  select name from read_tables where name = any(%s) and position = %s and lease = %s order by name for update)
update read_tables r set position = %s, status = %s, error = null, event = null, stuck_at = null, failing_since = null,
                         moved_at = clock_timestamp()
from locked where r.name = locked.name returning r.name"""
UPDATE_FAILURE = """
update read_tables set status = 'failed', error = %s, event = %s, stuck_at = %s,
                       failing_since = coalesce(failing_since, clock_timestamp())
where name = %s and lease = %s"""
SELECT_POSITION = "select position from read_tables where name = %s"
SELECT_SKIPS = "select position from read_table_skips where table_name = %s"
SELECT_NEXT_EVENT = "select position, type, event_id from events where position > %s order by position limit 1"


class OutdatedPosition(Exception):  # noqa: N818 - a state of the projector, not a fault
    """The position that a projector remembers is outdated: another one has moved or claimed the table."""


@dataclass(frozen=True, slots=True)
class NextEvent:
    """The event after a position. `text` says its type, id and position."""

    position: int
    text: str


async def register(connection: psycopg.AsyncConnection, name: str, *, position: int = 0, fingerprint: str = "") -> None:
    """Adds the row of a table, unless it exists."""
    await connection.execute(INSERT_TABLE, (name, position, fingerprint))


async def claim(
    connection: psycopg.AsyncConnection, names: Sequence[str], lease: str, leader: str
) -> dict[str, tuple[int, str]]:
    """Claims the tables that no valid lease holds; returns position and status of all tables of this lease."""
    values = {"names": list(names), "lease": lease, "leader": leader}
    async with connection.transaction():
        await connection.execute(CLAIM_TABLES, values)
        await connection.execute(UPDATE_LEADER, values)
        rows = await (await connection.execute(SELECT_CLAIMED, (lease, list(names)))).fetchall()
    return {name: (position, status) for name, position, status in rows}


async def lock(connection: psycopg.AsyncConnection, names: Sequence[str], position: int, lease: str) -> None:
    """Locks the tables until the transaction ends. Raises OutdatedPosition when one was moved or claimed."""
    rows = await (await connection.execute(LOCK_TABLES, (list(names),))).fetchall()
    if len(rows) != len(names):
        raise OutdatedPosition("a read table has been dropped")
    for name, actual, holder in rows:
        if actual != position or holder != lease:
            raise OutdatedPosition(
                f"{name} is at {actual} and held by {holder or 'no lease'}, not at {position} and held by {lease}"
            )


async def move(connection: psycopg.AsyncConnection, names: Sequence[str], position: int, status: str) -> None:
    """Sets position and status of tables that `lock` has locked."""
    await connection.execute(UPDATE_POSITION, (position, status, list(names)))


async def fail(connection: psycopg.AsyncConnection, name: str, lease: str, event: NextEvent | None, error: str) -> None:
    """Records the error of a table, and the event on which it is stuck."""
    await connection.execute(UPDATE_FAILURE, (error, event and event.text, event and event.position, name, lease))


async def release(connection: psycopg.AsyncConnection, lease: str, leader: str) -> None:
    """Releases all tables of the lease."""
    await connection.execute(RELEASE_TABLES, (lease, leader))


async def position_of(connection: psycopg.AsyncConnection, name: str) -> int:
    """The table's position; 0 for a table that is not registered."""
    row = await (await connection.execute(SELECT_POSITION, (name,))).fetchone()
    return int(row[0]) if row else 0


async def skips_of(connection: psycopg.AsyncConnection, table: str) -> frozenset[int]:
    """Positions of the events that an operator has skipped for the table."""
    rows = await (await connection.execute(SELECT_SKIPS, (table,))).fetchall()
    return frozenset(row[0] for row in rows)


async def next_event(connection: psycopg.AsyncConnection, position: int) -> NextEvent | None:
    """The first event after a position; None at the end of the store."""
    row = await (await connection.execute(SELECT_NEXT_EVENT, (position,))).fetchone()
    return NextEvent(row[0], f"{row[1]} {row[2]} at {row[0]}") if row else None
