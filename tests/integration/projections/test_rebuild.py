"""Building a table anew: the same rows, beside the live table, while everything goes on."""

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
async def test_the_same_rows(store: EventStore, sql: psycopg.Connection, projection: Projection[Any]) -> None:
    """Nothing is missing, nothing is extra, and the table stands where the live one stood."""
    await some_history(store)
    head = await projected(store)
    before = rows(sql, projection.table)
    result = await rebuild(store, projection)
    assert (result.missing, result.extra, result.position) == (0, 0, head)
    assert result.events == len(await store.read_all())
    assert rows(sql, projection.table) == before == await expected(store, projection)


async def test_while_writes_go_on(store: EventStore, sql: psycopg.Connection) -> None:
    """Again and again under load: nothing skipped, nothing twice, whichever moment the swap takes."""
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


async def test_while_the_projector_is_behind(store: EventStore, sql: psycopg.Connection) -> None:
    """The rebuilt table stands where the live one stood, so what comes after is applied once."""
    await some_history(store)
    await projected(store)
    await some_history(store)
    result = await rebuild(store, TALLIES)
    assert (result.missing, result.extra) == (0, 0)
    await projected(store)
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_in_small_batches(store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches' size makes no difference; progress is told after each, up to the goal."""
    monkeypatch.setattr(catch_up, "BATCH", 7)
    await some_history(store)
    head = await projected(store)
    told: list[tuple[int, int]] = []
    await rebuild(store, TALLIES, progress=lambda reached, goal: told.append((reached, goal)))
    assert len(told) > 5
    assert told == sorted(told)
    assert {goal for _, goal in told} == {head}, "nobody writes, so the goal stays"
    assert told[-1] == (head, head)
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_cancelled(store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any point: the live table is as it was, its projector goes on, and the next rebuild is a whole one."""
    monkeypatch.setattr(catch_up, "BATCH", 5)
    await some_history(store)
    async with projecting(store, TALLIES) as projector:
        assert await projector.caught_up(await store.head(), PATIENCE)
        before = rows(sql, "tallies_v1")
        for steps in (0, 1, 5, 15):
            progress: list[int] = []
            task = asyncio.create_task(rebuild(store, TALLIES, progress=lambda reached, _: progress.append(reached)))  # noqa: B023
            await eventually(lambda: len(progress) >= steps or task.done(), "it is that far")  # noqa: B023
            await stop(task)
            assert rows(sql, "tallies_v1") == before
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        assert (await soon(rebuild(store, TALLIES))).missing == 0
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_goes_on_where_it_stopped(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was built is kept batch by batch; other code, or who says so, begins at 0."""
    monkeypatch.setattr(catch_up, "BATCH", 5)
    await some_history(store)
    head = await projected(store, TALLIES)

    async def break_off(projection: Projection[Any]) -> int:
        """Cancels a rebuild halfway; where it was then."""
        progress: list[int] = []

        def reached(position: int, _: int) -> None:
            progress.append(position)
            if len(progress) == 5:
                task.cancel()  # here: whoever looks at intervals may look when it is done

        task = asyncio.create_task(rebuild(store, projection, progress=reached))
        await asyncio.wait((task,))
        await stop(task)
        row = sql.execute("select position from read_tables where name = 'tallies_v1__rebuild'").fetchone()
        return int(row[0]) if row else 0

    at = await break_off(TALLIES)
    assert 0 < at < head
    result = await rebuild(store, TALLIES)
    assert (result.resumed_at, result.same) == (at, True)
    await break_off(TALLIES)
    assert (await rebuild(store, TALLIES, fresh=True)).resumed_at == 0
    await break_off(TALLIES)
    assert (await rebuild(store, replace(TALLIES, ddl=TALLIES.ddl + " "))).resumed_at == 0
    await break_off(TALLIES)
    sql.execute("drop table tallies_v1__rebuild")
    assert (await rebuild(store, TALLIES)).resumed_at == 0
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)
    assert tables(sql) == {"tallies_v1"}


class TestLocks:
    """A rebuild never makes others wait for longer than a rename takes."""

    async def test_checking_waits_for_nobody_and_holds_nobody_up(self, store: EventStore) -> None:
        """Neither a projector that holds the table's position, nor somebody who has locked its rows, is waited for."""
        await some_history(store)
        await projected(store, TALLIES)
        with psycopg.connect(store.dsn) as other:
            other.execute("select from read_tables for update")
            other.execute("update tallies_v1 set total = total + 1")
            assert (await soon(rebuild(store, TALLIES, swap=False))).same, "as it was committed"

    async def test_the_swap_gives_way_to_a_long_read(self, store: EventStore, sql: psycopg.Connection) -> None:
        """It tries again and again, and readers that come meanwhile don't queue behind it."""
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

    async def test_columns_that_differ_are_not_called_the_same(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """Somebody has altered the live table: nothing is known of its rows, and that is said."""
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


async def test_two_at_once(store: EventStore, sql: psycopg.Connection) -> None:
    """The second waits for the first: two operators, or an operator and a start, don't get in each other's way."""
    await some_history(store)
    await projected(store, TALLIES)
    results = await soon(asyncio.gather(*(rebuild(store, TALLIES) for _ in range(3))))
    assert [(result.missing, result.extra) for result in results] == [(0, 0)] * 3
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_indexes_keep_their_names(store: EventStore, sql: psycopg.Connection) -> None:
    """So that the next rebuild can make them again, and an operator finds them."""
    await some_history(store)
    await projected(store, TALLIES)
    for _ in range(3):
        await rebuild(store, TALLIES)
        assert indexes(sql, "tallies_v1") == {"tallies_v1_pkey", "tallies_v1_name"}
