"""The rows of `read_tables`: each read table's position, its leader, and the event on which it is stuck."""

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
# `lock` and `move` in one.
MOVE_IF_AT = """
with held as (
  select name from read_tables where name = any(%s) and position = %s and lease = %s order by name for update)
update read_tables r set position = %s, status = %s, error = null, event = null, stuck_at = null, failing_since = null,
                         moved_at = clock_timestamp()
from held where r.name = held.name returning r.name"""
UPDATE_FAILURE = """
update read_tables set status = 'failed', error = %s, event = %s, stuck_at = %s,
                       failing_since = coalesce(failing_since, clock_timestamp())
where name = %s and lease = %s"""
SELECT_POSITION = "select position from read_tables where name = %s"
SELECT_SKIPS = "select position from read_table_skips where table_name = %s"
SELECT_NEXT_EVENT = "select position, type, event_id from events where position > %s order by position limit 1"


class Fenced(Exception):  # noqa: N818 - what happened to the projector
    """Another projector has moved or claimed a table: this one must read the table's position again."""


@dataclass(frozen=True, slots=True)
class NextEvent:
    """The event after a position: the one on which a failed table is stuck."""

    position: int
    text: str


async def register(connection: psycopg.AsyncConnection, name: str, *, position: int = 0, fingerprint: str = "") -> None:
    await connection.execute(INSERT_TABLE, (name, position, fingerprint))


async def claim(
    connection: psycopg.AsyncConnection, names: Sequence[str], lease: str, leader: str
) -> dict[str, tuple[int, str]]:
    """Claims the tables that no other valid lease holds; returns position and status of all that this lease holds."""
    values = {"names": list(names), "lease": lease, "leader": leader}
    async with connection.transaction():
        await connection.execute(CLAIM_TABLES, values)
        await connection.execute(UPDATE_LEADER, values)
        rows = await (await connection.execute(SELECT_CLAIMED, (lease, list(names)))).fetchall()
    return {name: (position, status) for name, position, status in rows}


async def lock(connection: psycopg.AsyncConnection, names: Sequence[str], position: int, lease: str) -> None:
    """Locks the tables until the transaction ends. Raises Fenced when another projector has moved or claimed one."""
    held = await (await connection.execute(LOCK_TABLES, (list(names),))).fetchall()
    if len(held) != len(names):
        raise Fenced("a read table has been dropped")
    for name, at, whose in held:
        if at != position or whose != lease:
            raise Fenced(f"{name} is at {at} and {whose or 'nobody'}'s, not at {position} and {lease}'s")


async def move(connection: psycopg.AsyncConnection, names: Sequence[str], position: int, status: str) -> None:
    await connection.execute(UPDATE_POSITION, (position, status, list(names)))


async def fail(connection: psycopg.AsyncConnection, name: str, lease: str, event: NextEvent | None, error: str) -> None:
    await connection.execute(UPDATE_FAILURE, (error, event and event.text, event and event.position, name, lease))


async def release(connection: psycopg.AsyncConnection, lease: str, leader: str) -> None:
    """Releases all tables of the lease."""
    await connection.execute(RELEASE_TABLES, (lease, leader))


async def position_of(connection: psycopg.AsyncConnection, name: str) -> int:
    row = await (await connection.execute(SELECT_POSITION, (name,))).fetchone()
    return int(row[0]) if row else 0


async def skips_of(connection: psycopg.AsyncConnection, table: str) -> frozenset[int]:
    rows = await (await connection.execute(SELECT_SKIPS, (table,))).fetchall()
    return frozenset(row[0] for row in rows)


async def next_event(connection: psycopg.AsyncConnection, position: int) -> NextEvent | None:
    row = await (await connection.execute(SELECT_NEXT_EVENT, (position,))).fetchone()
    return NextEvent(row[0], f"{row[1]} {row[2]} at {row[0]}") if row else None
