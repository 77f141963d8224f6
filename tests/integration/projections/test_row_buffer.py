"""A table that catches up is written seldom, with the same rows; what was not written is folded again."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent
from shared.projections import Projection, Stuck, catch_up, rebuild, row_buffer
from shared.projections import table as table_module
from tests.integration.eventstore.tally import Counted, context, counted
from tests.integration.projections.histories import projected, some_history
from tests.integration.projections.tables import ALL, STEPS, TALLIES, TallyRow, expected, rows, tally

REBUILDING = sys.modules["shared.projections.rebuild"]
"""The module: in the package, its name is the function's."""
ROUNDS, STREAMS = 40, 5


async def long_streams(store: EventStore) -> None:
    """Appends STREAMS tallies, each counted ROUNDS times, in turn."""
    streams = [uuid4() for _ in range(STREAMS)]
    for version in range(ROUNDS):
        await asyncio.gather(*(store.append(counted(stream, version, version), context()) for stream in streams))


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[table_module.Changes]:
    """Records what is written to tables, write by write."""
    writes: list[table_module.Changes] = []
    original = table_module.Table.write

    async def noting(
        table: table_module.Table, connection: psycopg.AsyncConnection, changes: table_module.Changes
    ) -> None:
        writes.append(changes)
        await original(table, connection, changes)

    monkeypatch.setattr(table_module.Table, "write", noting)
    return writes


@pytest.fixture
def keys_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records the number of keys of each read."""
    counts: list[int] = []
    original = table_module.Table.read

    async def noting(table: table_module.Table, connection: psycopg.AsyncConnection, keys: list[Any]) -> Any:
        counts.append(len(keys))
        return await original(table, connection, keys)

    monkeypatch.setattr(table_module.Table, "read", noting)
    return counts


async def test_a_row_is_written_once_for_many_events(
    store: EventStore,
    sql: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    writes: list[table_module.Changes],
    keys_read: list[int],
) -> None:
    """200 events of 5 rows, in batches of 5: the rows are written after 5, 10, 20, 40, 80 and the remaining events."""
    await long_streams(store)
    await projected(store, TALLIES)
    monkeypatch.setattr(catch_up, "BATCH", STREAMS)
    writes.clear()
    keys_read.clear()
    assert (await rebuild(store, TALLIES)).same
    assert [len(changes.inserted) + len(changes.updated) for changes in writes] == [STREAMS] * 6
    assert not keys_read, "the table was empty, and its rows are held"
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


@pytest.mark.parametrize("projection", ALL, ids=lambda projection: projection.table)
@pytest.mark.parametrize(("name", "value"), [("MAX_ROWS", 3), ("MAX_EVENTS", 8), ("ROWS_BYTES", 50)])
async def test_dropping_rows_from_memory_does_not_change_the_table(
    store: EventStore,
    sql: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    projection: Projection[Any],
    name: str,
    value: int,
) -> None:
    """They are read again."""
    monkeypatch.setattr(catch_up, "BATCH", 7)
    monkeypatch.setattr(row_buffer, name, value)
    await some_history(store)
    await long_streams(store)
    await projected(store, projection)
    assert (await rebuild(store, projection)).same
    assert rows(sql, projection.table) == await expected(store, projection)


async def test_unwritten_rows_are_folded_again(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled between two writes: the position is that of the rows, not of the events folded."""
    monkeypatch.setattr(catch_up, "BATCH", 5)
    monkeypatch.setattr(row_buffer, "MAX_EVENTS", 1 << 30)
    await long_streams(store)
    head = await projected(store, TALLIES)
    folded: list[int] = []

    def folding(row: TallyRow | None, recorded: RecordedEvent) -> TallyRow | None:
        folded.append(recorded.position)
        if len(folded) == 101:
            task.cancel()
        return tally(row, recorded)

    slow = replace(TALLIES, project=folding)
    task = asyncio.create_task(rebuild(store, slow))
    await asyncio.wait([task])
    assert task.cancelled()
    row = sql.execute("select position from read_tables where name = 'tallies_v1__rebuild'").fetchone()
    assert row is not None
    assert 0 < row[0] <= 101 < head
    partly = sql.execute("select sum(changes) from tallies_v1__rebuild").fetchone()
    assert partly == (row[0],), "each event up to there has been counted once"
    assert (await rebuild(store, slow)).same


async def test_an_event_that_fails_is_named(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before it are in the table, however many were folded together."""
    monkeypatch.setattr(catch_up, "BATCH", 5)
    await long_streams(store)
    await projected(store, TALLIES, STEPS)
    poison = 150

    def failing(make: Callable[..., Any]) -> Callable[..., Any]:
        def project(row: Any, recorded: RecordedEvent) -> Any:
            if recorded.position == poison:
                raise RuntimeError("poison")
            return make(row, recorded)

        return project

    for projection in (TALLIES, STEPS):
        with pytest.raises(Stuck) as stuck:
            await rebuild(store, replace(projection, project=failing(projection.project)))
        assert stuck.value.event is not None
        assert stuck.value.event.position == poison
        name = f"{projection.table}__rebuild"
        assert sql.execute("select position from read_tables where name = %s", (name,)).fetchone() == (poison - 1,)


class Seat(msgspec.Struct, frozen=True):
    number: int
    taken_at: int


SEATS: Projection[Seat] = Projection(
    name="tallies_seats",
    version=1,
    row=Seat,
    key=("taken_at",),
    ddl="create table {table} (number bigint not null unique, taken_at bigint primary key)",
    events=(Counted,),
    keys=lambda recorded: [(at,) for at in (recorded.position - 1, recorded.position) if at],
    project=lambda row, recorded: None if row else Seat(0, recorded.position),
)
"""One row, which each event replaces by its own under another key, and with the same unique value."""


async def test_a_unique_value_may_move_to_another_row(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted rows are written before inserted ones."""
    monkeypatch.setattr(catch_up, "BATCH", 2)
    for version in range(9):
        await store.append(counted(uuid4(), 0, version), context())
    await projected(store, SEATS)
    assert (await rebuild(store, SEATS)).same
    assert rows(sql, SEATS.table) == await expected(store, SEATS)


COUNTS: Projection[Seat] = Projection(
    name="tallies_counts",
    version=1,
    row=Seat,
    key=("number", "taken_at"),
    ddl="create table {table} (number bigint, taken_at bigint not null, primary key (number, taken_at))",
    events=(Counted,),
    keys=lambda recorded: [(number, recorded.position) for number in (1, 2, 3)],
    project=lambda row, _recorded: row,
    adds=lambda recorded: {(number, recorded.position): Seat(number, recorded.position) for number in (1, 2, 3)},
)


@pytest.mark.parametrize("append_only", [False, True])
async def test_an_event_may_add_several_rows(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, *, append_only: bool
) -> None:
    projection = replace(COUNTS, append_only=append_only)
    monkeypatch.setattr(catch_up, "BATCH", 2)
    for version in range(9):
        await store.append(counted(uuid4(), 0, version), context())
    await projected(store, projection)
    assert len(rows(sql, COUNTS.table)) == 27
    assert (await rebuild(store, projection)).same


async def test_the_swap_is_durable(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are committed asynchronously, but a finished rebuild survives a crash."""
    settings: list[tuple[str, str]] = []
    for name in ("_rename", "advance"):
        original = getattr(REBUILDING, name)

        async def noting(*arguments: Any, _name: str = name, _original: Any = original, **options: Any) -> Any:
            connection = next(
                getattr(argument, "connection", argument) for argument in arguments if argument is not store
            )
            row = await (await connection.execute("show synchronous_commit")).fetchone()
            settings.append((_name, row[0]))
            return await _original(*arguments, **options)

        monkeypatch.setattr(REBUILDING, name, noting)
    await some_history(store)
    await projected(store, TALLIES)
    await rebuild(store, TALLIES)
    assert ("advance", "off") in settings
    assert {value for name, value in settings if name == "_rename"} == {"on"}
