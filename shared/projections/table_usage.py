"""Records which processes use which read tables, and drops those that no process uses any more."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg import sql

from shared.eventstore import EventStore
from shared.eventstore.migrate import LOCK_MIGRATIONS
from shared.projections.projection import Projection, rebuild_name

GRACE_DAYS = 7.0
"""Days after its last use after which a table is unused: so long, operators can return to its release."""
RECORD_EVERY = 600.0
"""Seconds between two records of a process."""
LOCK_TIMEOUT = "200ms"
"""The time that a drop may wait for its lock, since later queries on the table queue behind it."""

UPSERT_USERS = """
insert into read_table_users (table_name, instance, release) select name, %s, %s from unnest(%s::text[]) as name
on conflict (table_name, instance) do update set release = excluded.release, seen_at = clock_timestamp()"""
SELECT_USES = """
select t.name, t.position, coalesce(u.seen_at, t.moved_at), coalesce(u.users, '')
from read_tables t left join (
  select table_name, max(seen_at) as seen_at,
         string_agg(distinct release || ' (' || instance || ')', ', ') as users
  from read_table_users group by table_name
) u on u.table_name = t.name
where t.name not like '%%\\_\\_rebuild'
order by t.name"""
SELECT_UNUSED = """
select t.name from read_tables t
where t.name not like '%%\\_\\_rebuild' and t.moved_at < clock_timestamp() - %s * interval '1 day'
  and not exists (select from read_table_users u
                  where u.table_name = t.name and u.seen_at > clock_timestamp() - %s * interval '1 day')
order by t.name"""
LOCK_IF_UNUSED = """
select from read_tables t where t.name = %s and not exists (
  select from read_table_users u
  where u.table_name = t.name and u.seen_at > clock_timestamp() - %s * interval '1 day')
for update"""
DELETE_TABLES = "delete from read_tables where name in (%s, %s)"
DELETE_USERS = "delete from read_table_users where table_name = %s"

log = structlog.get_logger()


class TableUsage(msgspec.Struct, frozen=True):
    """A read table, and when a process last recorded its use. `users`: the releases with their instances."""

    name: str
    position: int
    seen_at: datetime
    users: str


async def record(store: EventStore, projections: Sequence[Projection[Any]], instance: str, release: str) -> None:
    """Records that this process uses these tables."""
    async with store.pool.connection() as connection:
        await connection.execute(UPSERT_USERS, (instance, release, [projection.table for projection in projections]))


async def list_usage(store: EventStore) -> list[TableUsage]:
    """All read tables of the database, of all releases, ordered by name."""
    async with store.pool.connection() as connection:
        return [TableUsage(*row) for row in await (await connection.execute(SELECT_USES)).fetchall()]


async def list_unused(store: EventStore, grace_days: float = GRACE_DAYS) -> list[str]:
    """Names of the tables that no process has used or moved for `grace_days`."""
    async with store.pool.connection() as connection:
        rows = await (await connection.execute(SELECT_UNUSED, (grace_days, grace_days))).fetchall()
    return [row[0] for row in rows]


async def drop_unused(store: EventStore, grace_days: float = GRACE_DAYS) -> list[str]:
    """Drops unused tables, each in a transaction of its own; returns the names of those that were dropped.

    A table that a query is reading remains until the next call: no query waits for longer than LOCK_TIMEOUT.
    """
    dropped = []
    for name in await list_unused(store, grace_days):
        try:
            async with store.pool.connection() as connection, connection.transaction():
                await connection.execute(LOCK_MIGRATIONS)
                await connection.execute(sql.SQL("set local lock_timeout = {}").format(LOCK_TIMEOUT))
                if await (await connection.execute(LOCK_IF_UNUSED, (name, grace_days))).fetchone() is None:
                    continue
                for table in (name, rebuild_name(name)):
                    await connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(table)))
                await connection.execute(DELETE_TABLES, (name, rebuild_name(name)))
                await connection.execute(DELETE_USERS, (name,))
        except psycopg.errors.LockNotAvailable:
            log.info("read_table_still_read", table=name)
            continue
        log.warning("read_table_dropped", table=name, unused_for_days=grace_days)
        dropped.append(name)
    return dropped
