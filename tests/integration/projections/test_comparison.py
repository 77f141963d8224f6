"""Comparing a live table with one that is rebuilt from the events."""

import psycopg
import pytest

from shared.eventstore import EventStore
from shared.projections import comparison, rebuild
from tests.integration.projections.histories import projected, some_history, tables
from tests.integration.projections.tables import ALL, STEPS, SUMS, TALLIES, expected, rows


class TestComparing:
    """`swap=False` only counts the rows that differ."""

    async def test_equal_tables_have_no_difference(self, store: EventStore) -> None:
        await some_history(store)
        await projected(store)
        assert (await compare(store)) == (0, 0)

    async def test_a_changed_row_is_missing_and_extra(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("update tallies_v1 set total = total + 1 where name = 't1'")
        assert (await compare(store)) == (1, 1)

    async def test_deleted_rows_are_extra(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("delete from tallies_v1 where name in ('t1', 't2')")
        assert (await compare(store)) == (0, 2)

    async def test_an_inserted_row_is_missing(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute(
            "insert into tallies_v1 select gen_random_uuid(), name, total, changes, changed_at from tallies_v1 limit 1"
        )
        assert (await compare(store)) == (1, 0)

    async def test_a_comparison_changes_nothing(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("update tallies_v1 set total = total + 1")
        before = rows(sql, "tallies_v1")
        await compare(store)
        assert rows(sql, "tallies_v1") == before
        assert tables(sql) == {"sums_v1", "steps_v1", "tallies_v1"}

    async def test_a_rebuild_repairs_the_table(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("update tallies_v1 set total = 0 where total > 0")
        assert (await rebuild(store, TALLIES)).missing > 0
        assert (await compare(store)) == (0, 0)
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def compare(store: EventStore) -> tuple[int, int]:
    result = await rebuild(store, TALLIES, swap=False)
    return result.missing, result.extra


async def test_rows_are_compared_in_ranges_of_keys(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one column or several; each difference is counted once."""
    monkeypatch.setattr(comparison, "RANGE", 3)
    await some_history(store)
    await projected(store)
    for projection in ALL:
        assert (await rebuild(store, projection, swap=False)).same, projection.table
    sql.execute("update sums_v1 set note = 'x' where kind = 'odd'")
    odd = len(sql.execute("select from sums_v1 where kind = 'odd'").fetchall())
    changed = await rebuild(store, SUMS, swap=False)
    assert (changed.missing, changed.extra) == (odd, odd)
    sql.execute("insert into steps_v1 values (-1, gen_random_uuid(), 'a'), (1000000, gen_random_uuid(), 'b')")
    put_in = await rebuild(store, STEPS, swap=False)
    assert (put_in.missing, put_in.extra) == (2, 0)
