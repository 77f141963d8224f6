"""Two releases on one database: each projects its own versions, and tables that both have are projected once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from shared.eventstore import EventStore
from shared.projections import Projector, leader
from shared.stopping import stop
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.integration.eventstore.waiting import soon
from tests.integration.projections.tables import STEPS, SUMS, TALLIES, expected, projecting, rows
from tests.support.patience import PATIENCE, eventually

OLD = (TALLIES, SUMS, STEPS)
NEW = (replace(TALLIES, version=2), SUMS, STEPS)


@contextlib.asynccontextmanager
async def writing(store: EventStore) -> AsyncIterator[list[int]]:
    """Writes events for the length of a block; yields the list of their positions."""
    positions: list[int] = []

    async def write() -> None:
        while True:
            stream = uuid4()
            for version in range(4):
                appended = await store.append(counted(stream, version, version), context())
                positions.append(appended.position)

    tasks = [asyncio.create_task(write()) for _ in range(3)]
    try:
        yield positions
    finally:
        await stop(*tasks)


async def test_an_upgrade_and_a_rollback_under_load_lose_and_repeat_nothing(
    store: EventStore, sql: psycopg.Connection
) -> None:
    """Old, both, new, both, old: no table is built again."""
    async with EventStore.open(store.dsn, CODEC) as other, writing(store) as positions:

        async def more() -> None:
            enough = len(positions) + 50
            await eventually(lambda: len(positions) > enough, "more is written")

        async with contextlib.AsyncExitStack() as stack:
            async with projecting(store, *OLD) as old:
                await more()
                new = await stack.enter_async_context(projecting(other, *NEW))
                for _ in range(3):
                    await more()
                    for projector in (old, new):
                        assert await projector.caught_up(positions[-1], PATIENCE)
            await more()
            assert await new.caught_up(positions[-1], PATIENCE), "what the two had in common goes on"
            at = position(sql, "tallies_v1")
            async with projecting(store, *OLD) as old:
                assert await old.caught_up(positions[-1], PATIENCE)
                assert position(sql, "tallies_v1") >= at
                await stack.aclose()
                await more()
                assert await old.caught_up(positions[-1], PATIENCE)
                last = await store.head()
    async with projecting(store, *OLD) as old, projecting(store, NEW[0]) as new:
        last = await store.head()
        assert await old.caught_up(last, PATIENCE)
        assert await new.caught_up(last, PATIENCE)
    for projection in {*OLD, *NEW}:
        assert rows(sql, projection.table) == await expected(store, projection), projection.table


def position(sql: psycopg.Connection, table: str) -> int:
    row = sql.execute("select position from read_tables where name = %s", (table,)).fetchone()
    return int(row[0]) if row else 0


async def test_a_shared_table_is_projected_by_one_release(store: EventStore, sql: psycopg.Connection) -> None:
    """By the one that claimed it first, and by the other within seconds of its end, however it ended."""
    async with EventStore.open(store.dsn, CODEC) as other:
        first = Projector(store, OLD, instance="old-1")
        second = Projector(other, NEW, instance="new-1")
        assert first.lease != second.lease
        await first.prepare()
        await second.prepare()
        running = asyncio.create_task(first.run())
        await eventually(lambda: leaders(sql) >= {("sums_v1", "old-1")}, "the old one leads")
        beside = asyncio.create_task(second.run())
        await eventually(lambda: ("tallies_v2", "new-1") in leaders(sql), "the new one has its own")
        assert leaders(sql) == {
            ("tallies_v1", "old-1"), ("sums_v1", "old-1"), ("steps_v1", "old-1"), ("tallies_v2", "new-1"),
        }  # fmt: skip
        await stop(running)
        await eventually(
            lambda: leaders(sql) >= {("sums_v1", "new-1"), ("steps_v1", "new-1")}, "it has taken them over"
        )
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await soon(second.caught_up(appended.position, PATIENCE))
        await stop(beside)
        # Killed, and not stopped: its claim is still there, its lease is not.
        sql.execute("update read_tables set lease = %s, leader = 'killed'", (second.lease,))
        running = asyncio.create_task(first.run())
        await eventually(lambda: leaders(sql) >= {("tallies_v1", "old-1"), ("sums_v1", "old-1")}, "it has them again")
        await stop(running)


async def test_a_leader_claims_each_of_its_tables_once(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two copies of one table would fence each other."""
    monkeypatch.setattr(leader, "CLAIM_EVERY", 0.0)
    with capture_logs() as logs:
        async with projecting(store, *OLD) as projector, writing(store) as positions:
            await eventually(lambda: len(positions) > 100, "much is written")
            assert await projector.caught_up(positions[-1], PATIENCE)
    assert [line for line in logs if line["log_level"] == "error"] == []


def leaders(sql: psycopg.Connection) -> set[tuple[str, str]]:
    return set(sql.execute("select name, leader from read_tables").fetchall())
