"""Which releases use which tables; versions that no release uses are dropped."""

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
    """Moves the last use of the table to a long time ago."""
    sql.execute(f"update read_tables set moved_at = {LONG_AGO} where name = %s", (table,))
    sql.execute(f"update read_table_users set seen_at = {LONG_AGO} where table_name = %s", (table,))


async def test_a_process_records_its_tables(store: EventStore) -> None:
    async with projecting(store, TALLIES, SUMS):
        await eventually(lambda: is_recorded(store, "tallies_v1"), "its use is recorded")
    (sums, tallies) = await table_usage.list_usage(store)
    assert (sums.name, tallies.name) == ("sums_v1", "tallies_v1")
    assert await table_usage.list_unused(store) == []
    assert await table_usage.list_unused(store, grace_days=0) == ["sums_v1", "tallies_v1"]


async def is_recorded(store: EventStore, table: str) -> bool:
    return any(usage.users for usage in await table_usage.list_usage(store) if usage.name == table)


async def test_an_unused_version_is_dropped(store: EventStore, sql: psycopg.Connection) -> None:
    """By the next process that records its tables; those in use or lately used stay."""
    async with projecting(store, TALLIES, SUMS) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        await eventually(lambda: is_recorded(store, "tallies_v1"), "its use is recorded")
    forget(sql, "tallies_v1")
    second = replace(TALLIES, version=2)
    async with projecting(store, second):
        await eventually(lambda: sql.execute("select to_regclass('tallies_v1')").fetchone() == (None,), "it is dropped")
    assert {usage.name for usage in await table_usage.list_usage(store)} == {"sums_v1", "tallies_v2"}


async def test_a_dropped_version_is_built_from_the_first_event(store: EventStore, sql: psycopg.Connection) -> None:
    """Its position was deleted with it."""
    async with projecting(store, TALLIES) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert await table_usage.drop_unused(store, grace_days=0) == ["tallies_v1"]
    async with EventStore.open(store.dsn, CODEC) as later, projecting(later, TALLIES) as projector:
        assert await projector.caught_up(appended.position, PATIENCE)
    assert sql.execute("select total, changes from tallies_v1").fetchall() == [(1, 1)]


async def test_a_table_that_is_being_read_is_dropped_later(store: EventStore, sql: psycopg.Connection) -> None:
    """The drop waits for no lock, so no query waits behind it."""
    await Projector(store, (TALLIES,)).prepare()
    with psycopg.connect(store.dsn) as reader:
        reader.execute("select count(*) from tallies_v1")
        assert await table_usage.drop_unused(store, grace_days=0) == []
        reader.rollback()
    assert await table_usage.drop_unused(store, grace_days=0) == ["tallies_v1"]
    assert sql.execute("select to_regclass('tallies_v1')").fetchone() == (None,)
