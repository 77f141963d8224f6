"""Concurrent writers: positions are in the order of commits, so a tailer never skips an event."""

import asyncio
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.eventstore import Appended, EventStore, VersionConflict
from shared.eventstore.append_statement import APPEND_LOCK, Append
from tests.integration.eventstore.tally import CODEC, TALLY, Counted, context, count, counted
from tests.integration.eventstore.waiting import first, soon, take_append_lock, writers_waiting
from tests.support.patience import eventually, until_done

INSERT = """
insert into events (event_id, stream_id, version, type, data, metadata)
values (gen_random_uuid(), %s, %s, 'tally_counted.v1', '{"type":"tally_counted.v1","by":1}',
        '{"command_id":"00000000-0000-0000-0000-000000000001","actor":"somebody"}')
returning position"""


def insert(connection: psycopg.Connection, stream_id: UUID, version: int = 1) -> int:
    row = connection.execute(INSERT, (stream_id, version)).fetchone()
    assert row
    return int(row[0])


async def test_writers_wait_for_a_slow_one(store: EventStore, sql: psycopg.Connection) -> None:
    """So no greater position is committed before a smaller one."""
    tail = store.tail(0)
    await store.append(counted(uuid4(), 0, 1), context())
    tailed = await first(1, tail)

    with psycopg.connect(store.dsn, autocommit=True) as slow:
        take_append_lock(slow)
        reserved = insert(slow, uuid4())
        faster = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
        await eventually(lambda: writers_waiting(sql) == 1, "the faster writer waits")
        assert [event.position for event in await store.read_all()] == [tailed[0].position]
        slow.execute("commit")

    appended = await soon(faster)
    assert appended.position > reserved
    assert [event.position for event in await first(2, tail)] == [reserved, appended.position]


async def test_a_rollback_leaves_a_gap(store: EventStore, sql: psycopg.Connection) -> None:
    """Its positions are not used again; the tailer continues after the gap."""
    tail = store.tail(0)
    before = await store.append(counted(uuid4(), 0, 1), context())
    take_append_lock(sql)
    rolled_back = [insert(sql, uuid4()) for _ in range(3)]
    waiting = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
    sql.execute("rollback")

    after = await soon(waiting)
    assert after.position > max(rolled_back)
    assert [event.position for event in await first(2, tail)] == [before.position, after.position]


async def test_a_writer_that_dies_releases_the_lock(store: EventStore, sql: psycopg.Connection) -> None:
    """With its connection."""
    slow = await psycopg.AsyncConnection.connect(store.dsn)
    await slow.execute("select pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
    waiting = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
    await eventually(lambda: writers_waiting(sql) == 1, "the writer waits for the lock")
    await slow.close()
    appended = await soon(waiting)
    assert [event.position for event in await store.read_all()] == [appended.position]


async def test_tailers_of_two_stores_read_the_same_sequence(store: EventStore) -> None:
    """Every event once."""
    async with EventStore.open(store.dsn, CODEC) as other:
        tails = [asyncio.create_task(first(400, replica.tail(0, limit=7))) for replica in (store, other)]

        async def client(replica: EventStore) -> None:
            stream = uuid4()
            for version in range(20):
                await replica.append(counted(stream, version, version), context())

        await soon(asyncio.gather(*(client(replica) for replica in (store, other) for _ in range(10))))
        first_events, second_events = await soon(asyncio.gather(*tails))
    positions = [event.position for event in first_events]
    assert positions == sorted(set(positions))
    assert [event.event_id for event in first_events] == [event.event_id for event in second_events]
    for stream in {event.stream_id for event in first_events}:
        assert [event.version for event in first_events if event.stream_id == stream] == list(range(1, 21))


async def test_one_of_concurrent_appends_to_one_stream_succeeds(store: EventStore) -> None:
    """From whichever process."""
    stream = uuid4()
    async with EventStore.open(store.dsn, CODEC) as other:
        for version in range(10):
            results = await soon(
                asyncio.gather(
                    *(
                        replica.append(counted(stream, version, 1), context())
                        for replica in (store, other, store, other)
                    ),
                    return_exceptions=True,
                )
            )
            assert sum(isinstance(result, Appended) for result in results) == 1
            assert sum(isinstance(result, VersionConflict) for result in results) == 3
    assert [event.version for event in await store.read_stream(stream)] == list(range(1, 11))


async def test_concurrent_commands_on_one_stream_all_succeed(store: EventStore) -> None:
    """Each decides again after a conflict."""
    stream = uuid4()
    async with EventStore.open(store.dsn, CODEC) as other:
        commands = (
            partial(replica.handle, TALLY, stream, count(1), context(), attempts=200) for replica in (store, other) * 30
        )
        await soon(asyncio.gather(*map(until_done, commands)))
    loaded = await store.load(TALLY, stream)
    assert (loaded.version, loaded.state.total) == (60, 60)


async def test_appends_that_can_only_conflict_need_no_batches_of_their_own(store: EventStore) -> None:
    """They share batches with appends to other streams."""
    hot = uuid4()
    write, sizes = store.writer._write, []

    async def observed(batch: list[Append]) -> None:
        sizes.append(len(batch))
        await write(batch)

    store.writer._write = observed  # type: ignore[method-assign] # counts round trips, changes nothing
    results = await soon(
        asyncio.gather(
            *(store.append(counted(hot, 0, 1), context()) for _ in range(600)),
            store.append(counted(uuid4(), 0, 1), context()),
            return_exceptions=True,
        )
    )
    assert sum(isinstance(result, Appended) for result in results) == 2
    assert isinstance(results[-1], Appended)
    assert store.writer.conflicts == 599
    assert len(sizes) < 10, f"601 appends took batches of {sizes}"


async def test_a_tailer_is_woken_by_another_process(store: EventStore) -> None:
    """By a notification, before its next query."""
    async with EventStore.open(store.dsn, CODEC) as other:
        await _listening(other)
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await soon(other.watermarks.wait_for("events", appended.position, timeout=60))


async def test_a_commit_that_was_tailed_before_its_answer_is_notified(store: EventStore) -> None:
    """Other processes need the notification, too."""
    async with EventStore.open(store.dsn, CODEC) as other:
        await _listening(other)
        store.watermarks.observe("events", 7)
        store.watermarks.advance("events", 7)
        assert await soon(other.watermarks.wait_for("events", 7, timeout=60))


async def _listening(store: EventStore) -> None:
    """Waits until the store's watermarks listen: earlier notifications would be lost."""
    with psycopg.connect(store.dsn, autocommit=True) as sql:
        await eventually(
            lambda: (
                sql.execute(
                    "select count(*) from pg_stat_activity"
                    " where datname = current_database() and query = 'listen watermarks' and state = 'idle'"
                ).fetchone()
                == (2,)
            ),
            "both stores listen",
        )


async def test_a_tail_of_some_types_moves_past_others(store: EventStore) -> None:
    """Its position is that of the sequence, not of the last wanted event."""
    stream = uuid4()
    appended = await store.append(counted(stream, 0, 1, 2, 3), context())
    batch = await soon(anext(store.tail(0, types=frozenset({"tally_opened.v1"}))))
    assert (batch.events, batch.position, batch.size) == ([], appended.position, 3)


async def test_a_tail_continues_over_new_connections(store: EventStore, sql: psycopg.Connection) -> None:
    tail = store.tail(0)
    await store.append(counted(uuid4(), 0, 1), context())
    await first(1, tail)
    waiting = asyncio.create_task(first(1, tail))
    for version in range(5):
        sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        appended = await soon(store.append(counted(uuid4(), 0, version), context()))
        (event,) = await waiting
        assert (event.position, event.event) == (appended.position, Counted(version))
        waiting = asyncio.create_task(first(1, tail))
    waiting.cancel()


@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_read_all_returns_the_whole_sequence_in_pieces_of_any_size(store: EventStore, limit: int) -> None:
    """The piece after the last event is empty."""
    for _ in range(4):
        await store.append(counted(uuid4(), 0, 1, 2), context())
    positions: list[int] = []
    while piece := await store.read_all(positions[-1] if positions else 0, limit):
        assert len(piece) <= limit
        positions += [event.position for event in piece]
    assert len(positions) == 8
    assert positions == sorted(set(positions))
    assert positions[-1] == await store.head()
