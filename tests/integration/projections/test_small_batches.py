"""Most batches are small: one pipeline reads and writes them. What is wrong with one is found as with large ones."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent, StreamAppend
from shared.projections import Projection
from shared.projections.table import Table
from shared.projections.table_group import SMALL_BATCH
from tests.integration.eventstore.tally import Closed, Counted, context, counted
from tests.integration.projections.histories import some_history
from tests.integration.projections.tables import ALL, SUMS, TALLIES, expected, projecting, rows
from tests.support.patience import PATIENCE, eventually


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often tables are read and written alone (`read`, `write`), and in a pipeline (`start_read`, `send`)."""
    counts: Counter[str] = Counter()

    def count(name: str) -> None:
        original = getattr(Table, name)

        async def counting(*arguments: Any) -> Any:
            counts[name] += 1
            return await original(*arguments)

        monkeypatch.setattr(Table, name, counting)

    for name in ("read", "write", "start_read", "send"):
        count(name)
    return counts


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the projector's connection is told, but for begin and commit."""
    told: list[str] = []
    original = psycopg.AsyncConnection.execute

    async def noting(connection: psycopg.AsyncConnection, query: Any, *arguments: Any, **named: Any) -> Any:
        if connection.info.get_parameters().get("application_name", "").endswith("projector"):
            told.append(query if isinstance(query, str) else bytes(query).decode())
        return await original(connection, query, *arguments, **named)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", noting)
    return told


async def test_one_event(
    store: EventStore, sql: psycopg.Connection, calls: Counter[str], statements: list[str]
) -> None:
    """An event of one row: the lease, the position, the row before and the row after. No other table is asked."""
    stream = uuid4()
    async with projecting(store, TALLIES, SUMS) as projector:
        assert await projector.caught_up((await store.append(counted(stream, 0, 1), context())).position, PATIENCE)
        for version in range(1, 5):
            statements.clear()
            calls.clear()
            position = (await store.append(counted(stream, version, 2), context())).position
            assert await projector.caught_up(position, PATIENCE)
            told = [each for each in statements if "lease" not in each.split("(")[0] or "fence(" in each]
            assert len(told) == 2 + 2 * 2, told
            assert calls == {"start_read": 2, "send": 2}
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_several_events(store: EventStore, sql: psycopg.Connection, statements: list[str]) -> None:
    """However many rows a small batch changes, a table is read and written with one statement each."""
    async with projecting(store, TALLIES, SUMS) as projector:
        for number in range(4):
            assert await projector.caught_up((await store.append(several(number), context())).position, PATIENCE)
            told = [each for each in statements if "tallies_v1" in each or "sums_v1" in each]
            statements.clear()
        assert len(told) == 2 * 2, told
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_more_than_a_small_batch(store: EventStore, sql: psycopg.Connection, statements: list[str]) -> None:
    """As many as a burst has are written with one statement a table, too, as long as COPY is not faster."""
    async with projecting(store, TALLIES, SUMS) as projector:
        for number in range(3):
            statements.clear()
            assert await projector.caught_up(
                (await store.append(several(number, 3 * SMALL_BATCH), context())).position, PATIENCE
            )
            written = [each for each in statements if "insert into" in each or "staged_" in each]
        assert len(written) == 2, written  # the first time, tables read their rows in smaller pieces
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


def several(number: int, streams: int = 10) -> list[StreamAppend]:
    """An append to so many streams."""
    return [StreamAppend(UUID(int=stream), number, [Counted(stream)]) for stream in range(1, streams + 1)]


async def test_new_rows_of_a_batch_that_is_not_small(
    store: EventStore, sql: psycopg.Connection, statements: list[str]
) -> None:
    """They are copied, however few they are: none has a statement of its own."""
    async with projecting(store, TALLIES, SUMS) as projector:
        assert await projector.caught_up((await store.append(counted(uuid4(), 0, 1), context())).position, PATIENCE)
        statements.clear()
        new = [StreamAppend(uuid4(), 0, [Counted(1)]) for _ in range(SMALL_BATCH + 1)]
        assert await projector.caught_up((await store.append(new, context())).position, PATIENCE)
        assert not [each for each in statements if "tallies_v1" in each]
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_of_any_size(store: EventStore, sql: psycopg.Connection, calls: Counter[str]) -> None:
    """Below the bound and above it, with rows that come, change and go."""
    async with projecting(store, *ALL) as projector:
        for size in (1, 2, SMALL_BATCH - 1, SMALL_BATCH, SMALL_BATCH + 1, 3 * SMALL_BATCH):
            await asyncio.gather(*(store.append(counted(uuid4(), 0, number), context()) for number in range(size)))
            await some_history(store, 3)
            assert await projector.caught_up(await store.head(), PATIENCE)
        assert calls["send"]
        assert calls["write"]
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


def refused(row: Any, recorded: RecordedEvent) -> Any:
    """PostgreSQL can't take the row of a tally that is closed."""
    made = TALLIES.project(row, recorded)
    if isinstance(recorded.event, Closed):
        assert row is not None
        return msgspec.structs.replace(row, name="a\0b")
    return made


async def test_a_row_that_postgresql_refuses(store: EventStore, sql: psycopg.Connection) -> None:
    """Its table is named, and stops there alone; the others of the batch go on."""
    broken: Projection[Any] = replace(TALLIES, name="tallies_broken", project=refused)
    async with projecting(store, broken, SUMS):
        await some_history(store, 6)
        state = "select status, error from read_tables where name = 'tallies_broken_v1'"
        await eventually(lambda: (sql.execute(state).fetchone() or ("",))[0] == "failed", "it is said to have failed")
        head = await store.head()
        others = "select position from read_tables where name = 'sums_v1'"
        await eventually(lambda: sql.execute(others).fetchone() == (head,), "the other one goes on")
    assert rows(sql, "sums_v1") == await expected(store, SUMS)
