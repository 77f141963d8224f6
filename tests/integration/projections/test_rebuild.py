"""Rebuilding a table beside the live one: the same rows, while commands and the projector continue."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from shared.eventstore import EventStore
from shared.projections import Projection, catch_up, rebuild
from shared.stopping import stop
from tests.integration.eventstore.tally import context, counted
from tests.integration.eventstore.waiting import soon
from tests.integration.projections.histories import indexes, projected, some_history, tables
from tests.integration.projections.tables import ALL, TALLIES, expected, projecting, rows
from tests.support.patience import PATIENCE, eventually


@pytest.mark.parametrize("projection", ALL, ids=lambda projection: projection.table)
async def test_a_rebuild_makes_the_same_rows(
    store: EventStore, sql: psycopg.Connection, projection: Projection[Any]
) -> None:
    """No row is missing or extra, at the position of the live table."""
    await some_history(store)
    head = await projected(store)
    before = rows(sql, projection.table)
    result = await rebuild(store, projection)
    assert (result.missing, result.extra, result.position) == (0, 0, head)
    assert result.events == len(await store.read_all())
    assert rows(sql, projection.table) == before == await expected(store, projection)


async def test_a_rebuild_under_load_loses_and_repeats_nothing(store: EventStore, sql: psycopg.Connection) -> None:
    """Whenever the swap happens."""
    async with projecting(store) as projector:
        stop = asyncio.Event()

        async def write() -> int:
            position = 0
            while not stop.is_set():
                stream = uuid4()
                for version in range(5):
                    position = (await store.append(counted(stream, version, version), context())).position
            return position

        writers = [asyncio.create_task(write()) for _ in range(6)]
        for _ in range(3):
            for projection in ALL:
                result = await soon(rebuild(store, projection))
                assert (result.missing, result.extra) == (0, 0), projection.name
        stop.set()
        last = max(await asyncio.gather(*writers))
        assert await projector.caught_up(last, PATIENCE)
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_a_rebuild_does_not_pass_the_live_table(store: EventStore, sql: psycopg.Connection) -> None:
    """So the projector applies later events once."""
    await some_history(store)
    await projected(store)
    await some_history(store)
    result = await rebuild(store, TALLIES)
    assert (result.missing, result.extra) == (0, 0)
    await projected(store)
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_the_size_of_batches_does_not_matter(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is reported after each, up to the goal."""
    monkeypatch.setattr(catch_up, "BATCH", 7)
    await some_history(store)
    head = await projected(store)
    reports: list[tuple[int, int]] = []
    await rebuild(store, TALLIES, progress=lambda position, goal: reports.append((position, goal)))
    assert len(reports) > 5
    assert reports == sorted(reports)
    assert {goal for _, goal in reports} == {head}, "nobody writes, so the goal stays"
    assert reports[-1] == (head, head)
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_a_cancelled_rebuild_leaves_the_live_table_unchanged(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any point; the projector continues, and the next rebuild is complete."""
    monkeypatch.setattr(catch_up, "BATCH", 5)
    await some_history(store)
    async with projecting(store, TALLIES) as projector:
        assert await projector.caught_up(await store.head(), PATIENCE)
        before = rows(sql, "tallies_v1")
        for steps in (0, 1, 5, 15):
            progress: list[int] = []
            task = asyncio.create_task(rebuild(store, TALLIES, progress=lambda position, _: progress.append(position)))  # noqa: B023 - awaited within the round
            await eventually(lambda: len(progress) >= steps or task.done(), "it is that far")  # noqa: B023 - awaited within the round
            await stop(task)
            assert rows(sql, "tallies_v1") == before
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        assert (await soon(rebuild(store, TALLIES))).missing == 0
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_a_rebuild_continues_where_it_was_cancelled(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each committed batch; with other code or `fresh`, it begins at 0."""
    monkeypatch.setattr(catch_up, "BATCH", 5)
    await some_history(store)
    head = await projected(store, TALLIES)

    async def cancel_halfway(projection: Projection[Any]) -> int:
        """Cancels a rebuild halfway; returns the position that it has reached."""
        progress: list[int] = []

        def on_progress(position: int, _: int) -> None:
            progress.append(position)
            if len(progress) == 5:
                task.cancel()  # here, because a check at intervals could come after its end

        task = asyncio.create_task(rebuild(store, projection, progress=on_progress))
        await asyncio.wait((task,))
        await stop(task)
        row = sql.execute("select position from read_tables where name = 'tallies_v1__rebuild'").fetchone()
        return int(row[0]) if row else 0

    at = await cancel_halfway(TALLIES)
    assert 0 < at < head
    result = await rebuild(store, TALLIES)
    assert (result.resumed_at, result.same) == (at, True)
    await cancel_halfway(TALLIES)
    assert (await rebuild(store, TALLIES, fresh=True)).resumed_at == 0
    await cancel_halfway(TALLIES)
    assert (await rebuild(store, replace(TALLIES, ddl=TALLIES.ddl + " "))).resumed_at == 0
    await cancel_halfway(TALLIES)
    sql.execute("drop table tallies_v1__rebuild")
    assert (await rebuild(store, TALLIES)).resumed_at == 0
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)
    assert tables(sql) == {"tallies_v1"}


class TestLocks:
    """A rebuild blocks others for no longer than a rename takes."""

    async def test_a_check_neither_waits_nor_blocks(self, store: EventStore) -> None:
        """Although a projector holds the table's position, and another session locks rows."""
        await some_history(store)
        await projected(store, TALLIES)
        with psycopg.connect(store.dsn) as other:
            other.execute("select from read_tables for update")
            other.execute("update tallies_v1 set total = total + 1")
            assert (await soon(rebuild(store, TALLIES, swap=False))).same, "as it was committed"

    async def test_the_swap_gives_way_to_a_long_read(self, store: EventStore, sql: psycopg.Connection) -> None:
        """It retries, so later readers do not queue behind it."""
        await some_history(store)
        await projected(store, TALLIES)
        swapping = asyncio.create_task(rebuild(store, TALLIES))
        with psycopg.connect(store.dsn) as reader:
            reader.execute("select count(*) from tallies_v1")
            await eventually(lambda: waits_for_a_lock(sql), "the swap waits for the reader")
            sql.execute("set statement_timeout = '5s'")
            for _ in range(10):
                sql.execute("select count(*) from tallies_v1")
            assert not swapping.done()
            reader.rollback()
        assert (await soon(swapping)).same
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)

    async def test_tables_with_different_columns_are_not_compared(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """The result says so."""
        await some_history(store)
        await projected(store, TALLIES)
        sql.execute("alter table tallies_v1 add extra text")
        result = await rebuild(store, TALLIES, swap=False)
        assert not result.same
        assert result.not_compared == "their columns differ"


def waits_for_a_lock(sql: psycopg.Connection) -> bool:
    return bool(
        sql.execute("select from pg_locks where not granted and relation = to_regclass('tallies_v1')").fetchall()
    )


async def test_concurrent_rebuilds_take_turns(store: EventStore, sql: psycopg.Connection) -> None:
    """The second waits for the first: two operators, or an operator and a start, don't get in each other's way."""
    await some_history(store)
    await projected(store, TALLIES)
    results = await soon(asyncio.gather(*(rebuild(store, TALLIES) for _ in range(3))))
    assert [(result.missing, result.extra) for result in results] == [(0, 0)] * 3
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_indexes_keep_their_names(store: EventStore, sql: psycopg.Connection) -> None:
    """The next rebuild can create them, and operators find them."""
    await some_history(store)
    await projected(store, TALLIES)
    for _ in range(3):
        await rebuild(store, TALLIES)
        assert indexes(sql, "tallies_v1") == {"tallies_v1_pkey", "tallies_v1_name"}
