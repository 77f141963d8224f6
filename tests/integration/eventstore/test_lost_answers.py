"""A connection is lost at any moment of a commit: the append is recorded once, and its caller gets its result."""

import asyncio
import contextlib
from uuid import uuid4

import psycopg
import pytest

from shared.eventstore import Appended, EventStore, StoreUnavailable
from tests.integration.eventstore.lossy_proxy import LossyProxy
from tests.integration.eventstore.tally import CODEC, TALLY, Counted, context, count, counted
from tests.integration.eventstore.waiting import first, soon, take_append_lock, writers_waiting
from tests.support.patience import eventually


def end_writer(store: EventStore, sql: psycopg.Connection) -> None:
    """Terminates the backend of the store's writer."""
    assert store.writer._connection is not None
    sql.execute("select pg_terminate_backend(%s, 5000)", (store.writer._connection.info.backend_pid,))


async def test_an_append_whose_answer_was_lost_finds_its_events(database: str) -> None:
    """When it is sent again."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        stream = uuid4()
        warm = await store.append(counted(stream, 0, 1), context())
        proxy.lose_answer_to(b"tally_counted.v1")
        appended = await soon(store.append(counted(stream, 1, 2, 3), context()))
        events = await store.read_stream(stream)
    assert proxy.lost == 1
    assert [recorded.event for recorded in events] == [Counted(1), Counted(2), Counted(3)]
    assert (appended.position, appended.versions) == (warm.position + 2, {stream: 3})


async def test_each_append_of_a_lost_batch_gets_its_first_result(database: str) -> None:
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        streams = [uuid4() for _ in range(20)]
        proxy.lose_answer_to(b"tally_counted.v1")
        results = await soon(asyncio.gather(*(store.append(counted(stream, 0, 1, 2), context()) for stream in streams)))
        events = await store.read_all()
    assert proxy.lost == 1
    assert [result.versions for result in results] == [{stream: 2} for stream in streams]
    assert [result.position for result in results] == [event.position for event in events if event.version == 2]
    assert len(events) == 40


async def test_a_commit_whose_answer_was_lost_advances_the_watermark(database: str) -> None:
    """So tailers need not query for it."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        proxy.lose_answer_to(b"tally_counted.v1")
        appended = await soon(store.append(counted(uuid4(), 0, 1), context()))
        assert store.watermarks.value("events") >= appended.position


async def test_a_command_whose_answer_was_lost_returns_its_state(database: str) -> None:
    """`handle` returns the state after the command, which is recorded once."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        stream = uuid4()
        await store.handle(TALLY, stream, count(1), context())
        proxy.lose_answer_to(b"tally_counted.v1")
        handled = await soon(store.handle(TALLY, stream, count(2), context()))
        later = await store.handle(TALLY, stream, count(4), context())
    assert proxy.lost == 1
    assert (handled.version, handled.state.total) == (2, 3)
    assert (later.version, later.state.total) == (3, 7)


async def test_an_append_that_lost_its_connection_before_writing_is_sent_again(
    store: EventStore, sql: psycopg.Connection
) -> None:
    """The writer's backend is ended before it could write: the append is sent again over a new connection."""
    await store.append(counted(uuid4(), 0, 1), context())
    with psycopg.connect(store.dsn) as slow:
        take_append_lock(slow)
        task = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
        await eventually(lambda: writers_waiting(sql) == 1, "the writer waits for the lock")
        end_writer(store, sql)
        await eventually(lambda: writers_waiting(sql) == 0, "its backend is gone")
    appended = await soon(task)
    assert not appended.replayed
    assert len(await store.read_all()) == 2


async def test_appends_are_recorded_once_when_connections_end_under_load(
    store: EventStore, sql: psycopg.Connection
) -> None:
    """Each caller gets the position of its one record."""
    appended = 0

    async def client() -> list[Appended]:
        nonlocal appended
        stream, results = uuid4(), []
        for version in range(15):
            results.append(await store.append(counted(stream, version, version), context()))
            appended += 1
        return results

    clients = asyncio.gather(*(client() for _ in range(20)))
    for kills in range(1, 11):
        enough = kills * 25
        await eventually(lambda: appended >= enough, "more appends are done")  # noqa: B023 - awaited in the same turn
        with contextlib.suppress(AssertionError):  # it is between two connections
            end_writer(store, sql)
    results = await soon(clients)

    events = await store.read_all()
    assert len(events) == 20 * 15
    assert sorted(result.position for client_results in results for result in client_results) == [
        event.position for event in events
    ]
    assert [[*result.versions.values()] for client_results in results for result in client_results] == [
        [v] for v in range(1, 16)
    ] * 20


async def test_appends_and_reads_fail_in_bounded_time_during_an_outage(database: str) -> None:
    """Afterwards they succeed without a restart of the process."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        stream = uuid4()
        await store.append(counted(stream, 0, 1), context())
        tail = store.tail(0)
        await first(1, tail)

        store.writer._give_up_after = store.pool.timeout = 0.2
        await proxy.go_away()
        command = context()
        with pytest.raises(StoreUnavailable):
            await soon(store.append(counted(stream, 1, 2), command))
        with pytest.raises(StoreUnavailable):
            await soon(store.read_stream(stream))
        with pytest.raises(StoreUnavailable):
            await soon(store.handle(TALLY, stream, count(1), context()))

        store.writer._give_up_after = store.pool.timeout = 10
        await proxy.come_back()
        appended = await soon(store.append(counted(stream, 1, 2), command))
        assert appended.versions == {stream: 2}
        assert [event.event for event in await first(1, tail)] == [Counted(2)]
        assert (await soon(store.load(TALLY, stream))).state.total == 3


async def test_an_append_waits_for_a_server_that_accepts_writes(store: EventStore, sql: psycopg.Connection) -> None:
    """After a failover, the old primary is read-only."""
    await store.append(counted(uuid4(), 0, 1), context())

    def refused() -> int:
        row = sql.execute("select xact_rollback from pg_stat_database where datname = current_database()").fetchone()
        return row[0] if row else 0

    before, database = refused(), sql.info.dbname
    sql.execute(f"alter database {database} set default_transaction_read_only = on")
    end_writer(store, sql)
    task = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
    await eventually(lambda: task.done() or refused() > before, "the append is refused")
    sql.execute(f"alter database {database} reset default_transaction_read_only")
    assert not (await soon(task)).replayed


async def test_waiting_appends_fail_with_the_batch_before_them(database: str) -> None:
    """They have waited as long, and do not wait for a batch of their own."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC, max_batch=1) as store:
        await store.append(counted(uuid4(), 0, 1), context())
        store.writer._give_up_after = 0.5
        await proxy.go_away()
        appends = (store.append(counted(uuid4(), 0, 1), context()) for _ in range(100))
        results = await soon(asyncio.gather(*appends, return_exceptions=True))
    assert {type(result) for result in results} == {StoreUnavailable}


async def test_a_read_is_repeated_over_another_connection(store: EventStore, sql: psycopg.Connection) -> None:
    """If its connection is lost during the query."""
    stream = uuid4()
    await store.append(counted(stream, 0, 1), context())
    blocked = (
        "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        " and query like '%from events where stream_id%'"
    )
    with psycopg.connect(store.dsn) as slow:
        slow.execute("lock table events in access exclusive mode")
        task = asyncio.create_task(store.load(TALLY, stream))
        await eventually(lambda: sql.execute(blocked).fetchone() is not None, "the read waits for the table")
        sql.execute(f"select pg_terminate_backend(pid, 5000) from ({blocked}) as blocked")
    assert (await soon(task)).version == 1


async def test_dead_idle_connections_are_not_lent(store: EventStore, sql: psycopg.Connection) -> None:
    """Reads after a restart succeed."""
    stream = uuid4()
    await store.append(counted(stream, 0, 1), context())
    async with contextlib.AsyncExitStack() as readers:  # so that there are eight connections to die
        for _ in range(8):
            await readers.enter_async_context(store.reader())
    sql.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    for _ in range(8):
        assert len(await soon(store.read_stream(stream))) == 1
    await soon(store.append(counted(stream, 1, 1), context()))
    assert (await soon(store.load(TALLY, stream))).version == 2
