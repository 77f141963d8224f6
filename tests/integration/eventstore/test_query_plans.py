"""Query plans on a hundred thousand events: statements use indexes, and read few rows besides their results."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from shared.eventsourcing_adapter import aggregate, application
from shared.eventstore import (
    EventStore,
    append_statement,
    checkpoints,
    newer_events,
    repeated_commands,
    sequence_reader,
    snapshots,
    stream_reader,
)
from shared.eventstore.event_rows import NO_LIMIT, PAGE_BYTES
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.support.servers import Servers

EVENTS, STREAMS, PAGE = 100_000, 1_000, 100
STREAM, LONG = UUID(int=7), UUID(int=10**9)
"""One of 100 events, and one of 20,000."""
MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)

FILL = f"""
insert into events (event_id, stream_id, version, type, data, metadata, recorded_at)
select gen_random_uuid(), lpad(to_hex(n % {STREAMS}), 32, '0')::uuid, 1 + n / {STREAMS}, 'tally_counted.v1',
  convert_to('{{"type":"tally_counted.v1","by":1}}', 'UTF8'), '{{}}',
  '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 s'
from generate_series(0, {EVENTS - 1}) n;
insert into events (event_id, stream_id, version, type, data, metadata, recorded_at)
select gen_random_uuid(), '{LONG}', n, 'tally_counted.v1', '{{}}', '{{}}',
  '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 s'
from generate_series(1, 20000) n;
insert into snapshots (stream_id, state, schema, version, position, data)
select gen_random_uuid(), 'tally', 1, 1, 1, '{{}}' from generate_series(1, 10000);
analyze"""

ASKED: dict[str, tuple[str, tuple[Any, ...]]] = {
    "a stream": (stream_reader.SELECT_STREAM, (STREAM, 0, NO_LIMIT, PAGE, PAGE_BYTES)),
    "a long stream's end": (stream_reader.SELECT_STREAM, (LONG, 19_950, NO_LIMIT, PAGE, PAGE_BYTES)),
    "a long stream up to a version": (stream_reader.SELECT_STREAM, (LONG, 0, 50, PAGE, PAGE_BYTES)),
    "the sequence": (sequence_reader.SELECT_SEQUENCE, (50_000, NO_LIMIT, PAGE, PAGE_BYTES)),
    "a piece of the sequence": (sequence_reader.SELECT_SEQUENCE, (50_000, 50_010, PAGE, PAGE_BYTES)),
    "what is new": (sequence_reader.SELECT_SEQUENCE, (EVENTS + 20_000, NO_LIMIT, PAGE, PAGE_BYTES)),
    "what streams have that is newer": (
        newer_events.SELECT_NEWER,
        ([STREAM, LONG], [95, 19_995], newer_events.MAX_EVENTS, newer_events.MAX_BYTES),
    ),
    "a command's stream": (repeated_commands.SELECT_STREAM_ID, (uuid4(),)),
    "a command's context": (repeated_commands.SELECT_METADATA, (uuid4(),)),
    "the head": (sequence_reader.SELECT_LAST_POSITION, ()),
    "a command's first result": (append_statement.SELECT_FIRST_RESULT, ([uuid4() for _ in range(5)],)),
    "a snapshot": (snapshots.SELECT_SNAPSHOT, (STREAM, "tally", 1)),
    "a checkpoint": (checkpoints.SELECT_CHECKPOINT, ("relay",)),
    "the library's stream": (aggregate.SELECT_EVENTS, (LONG, 100, 150, PAGE)),
    "the library's stream, backwards": (aggregate.SELECT_EVENTS_BACKWARDS, (LONG, -1, NO_LIMIT, 1)),
    "the library's notifications": (application.SELECT_NOTIFICATIONS, (50_000, NO_LIMIT, PAGE)),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(servers: Servers) -> AsyncIterator[psycopg.AsyncConnection]:
    dsn = servers.create_database()
    async with EventStore.open(dsn, CODEC), await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(FILL.encode())
        yield connection
    servers.drop_database(dsn)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


async def explained(connection: psycopg.AsyncConnection, query: str, values: tuple[Any, ...]) -> dict[str, Any]:
    cursor = await connection.execute(f"explain (analyze, format json) {query}".encode(), values)
    ((plan,),) = await cursor.fetchall()
    return plan[0]["Plan"]  # type: ignore[no-any-return]  # psycopg returns rows of any type


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("question", ASKED)
async def test_no_query_reads_many_more_rows_than_it_returns(full: psycopg.AsyncConnection, question: str) -> None:
    """No sequential scan of a growing table."""
    plan = await explained(full, *ASKED[question])
    for node in nodes(plan):
        assert node["Node Type"] != "Seq Scan" or node["Relation Name"] == "checkpoints", f"{question}: {plan}"
        rows_read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        assert rows_read * node["Actual Loops"] <= 2 * PAGE, f"{question} reads {rows_read} rows: {plan}"


@pytest.mark.asyncio(loop_scope="module")
async def test_loading_as_of_a_time_reads_only_the_streams_events(full: psycopg.AsyncConnection) -> None:
    """Up to the first later one."""
    for stream, most in ((STREAM, 100), (LONG, 20_000)):
        plan = await explained(full, stream_reader.SELECT_FIRST_VERSION_LATER, (stream, MOMENT))
        for node in nodes(plan):
            assert node["Node Type"] in {"Limit", "Index Scan"}, plan
            assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= most, plan


@pytest.mark.asyncio(loop_scope="module")
async def test_an_append_reads_by_index(full: psycopg.AsyncConnection) -> None:
    """With any plan that PostgreSQL caches: a hundred appends scan no table."""
    query = "select seq_scan from pg_stat_user_tables where relname = 'events'"
    async with EventStore.open(f"{full.info.dsn} password={full.info.password}", CODEC) as opened:
        before = await (await full.execute(query)).fetchone()
        for _ in range(100):
            await opened.append(counted(uuid4(), 0, 1), context())
        await opened.append([*counted(uuid4(), 0, *range(500))], context())
    # Statistics of the writer's backend are there when it has ended.
    await full.execute("select pg_stat_clear_snapshot()")
    assert await (await full.execute(query)).fetchone() == before


@pytest.mark.asyncio(loop_scope="module")
async def test_the_table_has_a_hundred_thousand_events(full: psycopg.AsyncConnection) -> None:
    """Plans on empty tables prove nothing."""
    row = await (await full.execute("select count(*) from events")).fetchone()
    assert row is not None
    assert row[0] >= EVENTS
