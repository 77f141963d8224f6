"""Small batches are applied in one pipeline, and errors in them are handled as in large ones."""

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
    """Counts how often tables are read and written alone (`read`, `write`) and in a pipeline (`start_read`, `send`)."""
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
    """Records the statements of the projector's connection, without begin and commit."""
    recorded: list[str] = []
    original = psycopg.AsyncConnection.execute

    async def noting(connection: psycopg.AsyncConnection, query: Any, *arguments: Any, **options: Any) -> Any:
        if connection.info.get_parameters().get("application_name", "").endswith("projector"):
            recorded.append(query if isinstance(query, str) else bytes(query).decode())
        return await original(connection, query, *arguments, **options)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", noting)
    return recorded


async def test_one_event_needs_two_statements_per_table_and_two_more(
    store: EventStore, sql: psycopg.Connection, calls: Counter[str], statements: list[str]
) -> None:
    """The lease and the position; the row before and the row after. Other tables are not read."""
    stream = uuid4()
    async with projecting(store, TALLIES, SUMS) as projector:
        assert await projector.caught_up((await store.append(counted(stream, 0, 1), context())).position, PATIENCE)
        for version in range(1, 5):
            statements.clear()
            calls.clear()
            position = (await store.append(counted(stream, version, 2), context())).position
            assert await projector.caught_up(position, PATIENCE)
            of_tables = [
                statement for statement in statements if "lease" not in statement.split("(")[0] or "fence(" in statement
            ]
            assert len(of_tables) == 2 + 2 * 2, of_tables
            assert calls == {"start_read": 2, "send": 2}
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_a_small_batch_needs_one_statement_per_table_to_read_and_write(
    store: EventStore, sql: psycopg.Connection, statements: list[str]
) -> None:
    """However many rows it changes."""
    async with projecting(store, TALLIES, SUMS) as projector:
        for number in range(4):
            assert await projector.caught_up((await store.append(several(number), context())).position, PATIENCE)
            of_tables = [statement for statement in statements if "tallies_v1" in statement or "sums_v1" in statement]
            statements.clear()
        assert len(of_tables) == 2 * 2, of_tables
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_larger_batches_are_written_with_one_statement_per_table(
    store: EventStore, sql: psycopg.Connection, statements: list[str]
) -> None:
    """Up to the size from which COPY is faster."""
    async with projecting(store, TALLIES, SUMS) as projector:
        for number in range(3):
            statements.clear()
            assert await projector.caught_up(
                (await store.append(several(number, SMALL_BATCH + 50), context())).position, PATIENCE
            )
            inserts = [statement for statement in statements if "insert into" in statement or "staged_" in statement]
        assert len(inserts) == 2, inserts  # the first time, tables read their rows in smaller pieces
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


def several(number: int, streams: int = 10) -> list[StreamAppend]:
    """Appends to several new streams."""
    return [StreamAppend(UUID(int=stream), number, [Counted(stream)]) for stream in range(1, streams + 1)]


async def test_new_rows_of_a_larger_batch_are_copied(
    store: EventStore, sql: psycopg.Connection, statements: list[str]
) -> None:
    """However few they are."""
    async with projecting(store, TALLIES, SUMS) as projector:
        assert await projector.caught_up((await store.append(counted(uuid4(), 0, 1), context())).position, PATIENCE)
        statements.clear()
        new = [StreamAppend(uuid4(), 0, [Counted(1)]) for _ in range(SMALL_BATCH + 20)]
        assert await projector.caught_up((await store.append(new, context())).position, PATIENCE)
        assert not [statement for statement in statements if "tallies_v1" in statement]
    for projection in (TALLIES, SUMS):
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_batches_of_any_size_result_in_the_same_rows(
    store: EventStore, sql: psycopg.Connection, calls: Counter[str]
) -> None:
    """Inserted, updated and deleted, below the bound and above it."""
    async with projecting(store, *ALL) as projector:
        for size in (1, 2, SMALL_BATCH - 1, SMALL_BATCH, SMALL_BATCH + 1, 3 * SMALL_BATCH):
            await asyncio.gather(*(store.append(counted(uuid4(), 0, number), context()) for number in range(size)))
            await some_history(store, 3)
            assert await projector.caught_up(await store.head(), PATIENCE)
        assert calls["send"]
        assert calls["write"]
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


def rejected(row: Any, recorded: RecordedEvent) -> Any:
    """PostgreSQL rejects the row of a closed tally."""
    projected_row = TALLIES.project(row, recorded)
    if isinstance(recorded.event, Closed):
        assert row is not None
        return msgspec.structs.replace(row, name="a\0b")
    return projected_row


async def test_a_rejected_row_stops_its_table_only(store: EventStore, sql: psycopg.Connection) -> None:
    """Its table is named, and stops there alone; the others of the batch go on."""
    broken: Projection[Any] = replace(TALLIES, name="tallies_broken", project=rejected)
    async with projecting(store, broken, SUMS):
        await some_history(store, 6)
        state = "select status, error from read_tables where name = 'tallies_broken_v1'"
        await eventually(lambda: (sql.execute(state).fetchone() or ("",))[0] == "failed", "it is said to have failed")
        head = await store.head()
        others = "select position from read_tables where name = 'sums_v1'"
        await eventually(lambda: sql.execute(others).fetchone() == (head,), "the other one goes on")
    assert rows(sql, "sums_v1") == await expected(store, SUMS)
