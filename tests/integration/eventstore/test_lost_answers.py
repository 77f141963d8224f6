"""A connection lost at any moment of a commit: the append is recorded, once, and its caller is told so."""

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
    """Ends the backend that the store's writer talks to, as an operator or a failing server would."""
    assert store.writer._connection is not None
    sql.execute("select pg_terminate_backend(%s, 5000)", (store.writer._connection.info.backend_pid,))


async def test_lost_after_the_commit(database: str) -> None:
    """PostgreSQL has committed, the answer never arrives: sent again, the append finds its own events."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        stream = uuid4()
        warm = await store.append(counted(stream, 0, 1), context())
        proxy.lose_answer_to(b"tally_counted.v1")
        appended = await soon(store.append(counted(stream, 1, 2, 3), context()))
        events = await store.read_stream(stream)
    assert proxy.lost == 1
    assert [recorded.event for recorded in events] == [Counted(1), Counted(2), Counted(3)]
    assert (appended.position, appended.versions) == (warm.position + 2, {stream: 3})


async def test_lost_in_a_batch(database: str) -> None:
    """Each of the appends that shared the lost commit gets its own first result."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        streams = [uuid4() for _ in range(20)]
        proxy.lose_answer_to(b"tally_counted.v1")
        results = await soon(asyncio.gather(*(store.append(counted(stream, 0, 1, 2), context()) for stream in streams)))
        events = await store.read_all()
    assert proxy.lost == 1
    assert [result.versions for result in results] == [{stream: 2} for stream in streams]
    assert [result.position for result in results] == [event.position for event in events if event.version == 2]
    assert len(events) == 40


async def test_tailers_hear_of_a_commit_whose_answer_was_lost(database: str) -> None:
    """The watermark moves when the append is known to be there, so that no tailer has to find it by itself."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        proxy.lose_answer_to(b"tally_counted.v1")
        appended = await soon(store.append(counted(uuid4(), 0, 1), context()))
        assert store.watermarks.value("events") >= appended.position


async def test_a_command_whose_answer_was_lost(database: str) -> None:
    """`handle` answers like the first time: what the command did, and the state after it."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        stream = uuid4()
        await store.handle(TALLY, stream, count(1), context())
        proxy.lose_answer_to(b"tally_counted.v1")
        handled = await soon(store.handle(TALLY, stream, count(2), context()))
        later = await store.handle(TALLY, stream, count(4), context())
    assert proxy.lost == 1
    assert (handled.version, handled.state.total) == (2, 3)
    assert (later.version, later.state.total) == (3, 7)


async def test_lost_while_waiting_for_the_lock(store: EventStore, sql: psycopg.Connection) -> None:
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


async def test_ended_again_and_again_under_load(store: EventStore, sql: psycopg.Connection) -> None:
    """Whenever the writer's connection dies, every append is told of one record, and there is exactly one."""
    done = 0

    async def client() -> list[Appended]:
        nonlocal done
        stream, results = uuid4(), []
        for version in range(15):
            results.append(await store.append(counted(stream, version, version), context()))
            done += 1
        return results

    clients = asyncio.gather(*(client() for _ in range(20)))
    for kills in range(1, 11):
        enough = kills * 25
        await eventually(lambda: done >= enough, "more appends are done")  # noqa: B023 - awaited in the same turn
        with contextlib.suppress(AssertionError):  # it is between two connections
            end_writer(store, sql)
    results = await soon(clients)

    events = await store.read_all()
    assert len(events) == 20 * 15
    assert sorted(result.position for each in results for result in each) == [event.position for event in events]
    assert [[*result.versions.values()] for each in results for result in each] == [[v] for v in range(1, 16)] * 20


async def test_postgresql_away_and_back(database: str) -> None:
    """While it is away, appends and reads fail as unavailable, in bounded time; once back, all goes on by itself."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC) as store:
        stream = uuid4()
        await store.append(counted(stream, 0, 1), context())
        tail = store.tail(0)
        await first(1, tail)

        store.writer._give_up_after = store.pool.timeout = 0.2
        await proxy.go_away()
        told = context()
        with pytest.raises(StoreUnavailable):
            await soon(store.append(counted(stream, 1, 2), told))
        with pytest.raises(StoreUnavailable):
            await soon(store.read_stream(stream))
        with pytest.raises(StoreUnavailable):
            await soon(store.handle(TALLY, stream, count(1), context()))

        store.writer._give_up_after = store.pool.timeout = 10
        await proxy.come_back()
        appended = await soon(store.append(counted(stream, 1, 2), told))
        assert appended.versions == {stream: 2}
        assert [event.event for event in await first(1, tail)] == [Counted(2)]
        assert (await soon(store.load(TALLY, stream))).state.total == 3


async def test_a_server_that_became_a_standby(store: EventStore, sql: psycopg.Connection) -> None:
    """After a failover the old primary refuses to write: the append waits for one that takes it."""
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


async def test_an_outage_fails_what_waits_at_once(database: str) -> None:
    """Appends behind the failing batch have waited as long: they don't each wait for a batch of their own."""
    async with LossyProxy.before(database) as proxy, EventStore.open(proxy.dsn, CODEC, max_batch=1) as store:
        await store.append(counted(uuid4(), 0, 1), context())
        store.writer._give_up_after = 0.5
        await proxy.go_away()
        appends = (store.append(counted(uuid4(), 0, 1), context()) for _ in range(100))
        results = await soon(asyncio.gather(*appends, return_exceptions=True))
    assert {type(result) for result in results} == {StoreUnavailable}


async def test_a_read_survives_the_end_of_its_connection(store: EventStore, sql: psycopg.Connection) -> None:
    """A connection lost in the middle of a query is replaced, and the query asked again."""
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


async def test_reads_survive_a_restart(store: EventStore, sql: psycopg.Connection) -> None:
    """Connections that died while they were idle are not handed to anybody: the next reads just work."""
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
