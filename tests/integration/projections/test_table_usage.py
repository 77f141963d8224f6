"""Which releases use which tables; a version that none uses any more goes."""

from dataclasses import replace
from uuid import uuid4

import psycopg

from shared.eventstore import EventStore
from shared.projections import Projector, table_usage
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.integration.projections.tables import SUMS, TALLIES, projecting
from tests.support.patience import PATIENCE, eventually

LONG_AGO = "clock_timestamp() - interval '8 days'"


def forget(sql: psycopg.Connection, table: str) -> None:
    """As if the last process that used the table had ended long ago."""
    sql.execute(f"update read_tables set moved_at = {LONG_AGO} where name = %s", (table,))
    sql.execute(f"update read_table_users set seen_at = {LONG_AGO} where table_name = %s", (table,))


async def test_a_process_says_what_it_uses(store: EventStore) -> None:
    async with projecting(store, TALLIES, SUMS):
        await eventually(lambda: seen(store, "tallies_v1"), "it is seen")
    (sums, tallies) = await table_usage.list_usage(store)
    assert (sums.name, tallies.name) == ("sums_v1", "tallies_v1")
    assert await table_usage.list_unused(store) == []
    assert await table_usage.list_unused(store, grace_days=0) == ["sums_v1", "tallies_v1"]


async def seen(store: EventStore, table: str) -> bool:
    return any(each.users for each in await table_usage.list_usage(store) if each.name == table)


async def test_a_version_that_nobody_uses_is_dropped(store: EventStore, sql: psycopg.Connection) -> None:
    """By the next process that says what it uses; those in use, and those used lately, stay."""
    async with projecting(store, TALLIES, SUMS) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        await eventually(lambda: seen(store, "tallies_v1"), "it is seen")
    forget(sql, "tallies_v1")
    second = replace(TALLIES, version=2)
    async with projecting(store, second):
        await eventually(lambda: sql.execute("select to_regclass('tallies_v1')").fetchone() == (None,), "it is dropped")
    assert {each.name for each in await table_usage.list_usage(store)} == {"sums_v1", "tallies_v2"}


async def test_one_that_comes_back_is_built_anew(store: EventStore, sql: psycopg.Connection) -> None:
    """Its position went with it, so nothing is missing."""
    async with projecting(store, TALLIES) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert await table_usage.drop_unused(store, grace_days=0) == ["tallies_v1"]
    async with EventStore.open(store.dsn, CODEC) as later, projecting(later, TALLIES) as projector:
        assert await projector.caught_up(appended.position, PATIENCE)
    assert sql.execute("select total, changes from tallies_v1").fetchall() == [(1, 1)]


async def test_one_that_is_read_stays_until_later(store: EventStore, sql: psycopg.Connection) -> None:
    """Dropping waits for nobody, so nobody waits behind it."""
    await Projector(store, (TALLIES,)).prepare()
    with psycopg.connect(store.dsn) as reader:
        reader.execute("select count(*) from tallies_v1")
        assert await table_usage.drop_unused(store, grace_days=0) == []
        reader.rollback()
    assert await table_usage.drop_unused(store, grace_days=0) == ["tallies_v1"]
    assert sql.execute("select to_regclass('tallies_v1')").fetchone() == (None,)
