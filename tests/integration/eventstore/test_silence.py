"""A server that does not answer: stopped, or behind a proxy that forwards nothing. Every wait is bounded."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.eventstore import EventStore, StoreUnavailable
from shared.eventstore.append_statement import PreparedEvent
from shared.eventstore.connections import Bounds, NoAnswer, connect, connect_sync, within, within_sync
from shared.eventstore.group_writer import GroupWriter
from shared.stopping import stop
from tests.integration.eventstore.tally import CODEC, TALLY, context, count, counted
from tests.integration.eventstore.waiting import first, soon, take_append_lock, writers_waiting
from tests.support.patience import eventually
from tests.support.servers import Servers
from tests.support.silence import SilentProxy, frozen

T = TypeVar("T")

READ, COMMAND, AFTERWARDS = 5.0, 15.0, 5.0
"""Seconds that are promised: for a read, for a command, and for going on after the silence."""
BUSY = 2.0
"""Seconds on top, for what else the machine does."""


async def within_seconds(seconds: float, awaitable: Awaitable[T]) -> T:
    began = time.monotonic()
    try:
        return await soon(awaitable)
    finally:
        took = time.monotonic() - began
        assert took < seconds + BUSY, f"took {took:.1f} s"


def behind(proxy: SilentProxy, dsn: str) -> str:
    user = urlsplit(dsn).netloc.rpartition("@")[0]
    return urlunsplit(urlsplit(dsn)._replace(netloc=f"{user}@{proxy.address}"))


@pytest.fixture
def proxy(database: str) -> Iterator[SilentProxy]:
    server = urlsplit(database)
    with SilentProxy((server.hostname, server.port)) as silent_proxy:
        yield silent_proxy


@pytest.fixture
async def store(database: str, proxy: SilentProxy) -> AsyncIterator[EventStore]:
    async with EventStore.open(behind(proxy, database), CODEC) as opened:
        yield opened


@pytest.fixture(params=["proxy", "stopped"])
def silence(request: pytest.FixtureRequest, proxy: SilentProxy, servers: Servers) -> AbstractContextManager[None]:
    """The two ways to be silent: the proxy forwards nothing, or all processes of the server are stopped."""
    if request.param == "proxy":
        return proxy.silent()
    with psycopg.connect(servers.postgres_dsn) as sql:
        pid = int(sql.execute("select pg_read_file('postmaster.pid')").fetchone()[0].splitlines()[0])
    return frozen(pid)


async def test_a_store_opens_once_a_busy_server_accepts_connections(database: str) -> None:
    """It did not accept the first connections in time: the store opens all the same, a moment later."""
    server = urlsplit(database)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        addresses = iter([silent.getsockname(), (server.hostname, server.port), silent.getsockname()])
        with SilentProxy(lambda: next(addresses, (server.hostname, server.port))) as proxy:
            async with EventStore.open(f"{behind(proxy, database)}?connect_timeout=2", CODEC) as store:
                await soon(store.append(counted(uuid4(), 0, 1), context()))
            assert next(addresses, None) is None


async def test_everything_fails_in_bounded_time_and_recovers(
    store: EventStore, silence: AbstractContextManager[None]
) -> None:
    """Reads fail within 5 s, commands within 15; 5 s after the silence all succeed, and nothing is lost."""
    stream = uuid4()
    await store.append(counted(stream, 0, 1), context())
    tail = store.tail(0)
    assert len(await first(1, tail)) == 1
    commands = [context() for _ in range(3)]
    with silence:
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await within_seconds(READ, store.read_stream(stream))
        with pytest.raises(StoreUnavailable) as caught:
            await within_seconds(COMMAND, store.append(counted(stream, 1, 2), commands[0]))
        assert caught.value.maybe_done
        with pytest.raises(StoreUnavailable):
            await within_seconds(COMMAND, store.handle(TALLY, stream, count(1), commands[1]))
    ended = time.monotonic()
    appended = await within_seconds(AFTERWARDS, store.append(counted(stream, 1, 2), commands[0]))
    assert appended.versions == {stream: 2}
    assert (await within_seconds(AFTERWARDS, store.handle(TALLY, stream, count(4), commands[2]))).state.total == 7
    for _ in range(10):  # more than there are connections to have gone stale
        assert len(await within_seconds(AFTERWARDS, store.read_stream(stream))) == 3
    assert len(await within_seconds(AFTERWARDS, first(2, tail))) == 2
    assert time.monotonic() - ended < AFTERWARDS + BUSY


async def test_a_waiting_append_has_a_deadline_of_its_own(store: EventStore, proxy: SilentProxy) -> None:
    """It fails in time while the writer is busy with others, and was not sent."""
    await store.append(counted(uuid4(), 0, 1), context())
    with proxy.silent():
        stuck = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
        await eventually(lambda: store.writer.writing, "the writer has sent it")
        with pytest.raises(StoreUnavailable) as caught:
            await within_seconds(0.3, store.writer.append(*prepared(), seconds=0.3))
        assert not caught.value.maybe_done
        with pytest.raises(StoreUnavailable) as caught:
            await stuck
        assert caught.value.maybe_done


def prepared(size: int = 0) -> tuple[list[tuple[UUID, int, list[PreparedEvent]]], bytes]:
    data = b'{"by":1,"padding":"%s"}' % (b"x" * size)
    return [(uuid4(), 0, [PreparedEvent(uuid4(), "tally_counted.v1", data)])], b"{}"


async def test_a_lock_timeout_means_that_nothing_was_done(database: str) -> None:
    """Appends succeed once the lock is free."""
    async with EventStore.open(database, CODEC) as store:
        await store.append(counted(uuid4(), 0, 1), context())
        with psycopg.connect(database) as other:
            take_append_lock(other)
            append = asyncio.create_task(store.writer.append(*prepared(), seconds=4.3))
            with psycopg.connect(database, autocommit=True) as sql:
                await eventually(lambda: writers_waiting(sql) == 1, "the writer waits for the lock")
            with pytest.raises(StoreUnavailable) as caught:
                await within_seconds(COMMAND, append)
            assert not caught.value.maybe_done
            assert "lock" in str(caught.value)
            waiting = asyncio.create_task(store.writer.append(*prepared()))
            await eventually(lambda: store.writer.writing, "another one is sent")
        await within_seconds(AFTERWARDS, waiting)


async def test_waiting_appends_are_bounded_in_bytes(database: str, proxy: SilentProxy) -> None:
    """Further ones wait for room in bounded time, and are queued when there is room."""
    writer = GroupWriter(behind(proxy, database), on_commit=lambda _: None, max_bytes=100_000)
    async with EventStore.open(database, CODEC):
        pass  # its tables
    running = asyncio.create_task(writer.run())
    try:
        await soon(writer.append(*prepared()))
        with proxy.silent():
            first_ = asyncio.create_task(writer.append(*prepared()))
            await eventually(lambda: writer.writing, "one is out")
            inside = [asyncio.create_task(writer.append(*prepared(60_000))) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable, match="too many appends wait") as caught:
                await within_seconds(0.3, writer.append(*prepared(10), seconds=0.3))
            assert not caught.value.maybe_done
            outside = asyncio.create_task(writer.append(*prepared(10)))
            await asyncio.sleep(0)
            assert writer.waiting == 2
        await within_seconds(AFTERWARDS, asyncio.gather(first_, *inside, outside))
    finally:
        await stop(running)


async def test_a_frozen_clients_locks_are_released(database: str) -> None:
    """A leader that is stopped in the middle of a batch must not block its successor."""
    bounds = Bounds(idle_in_transaction=0.3)
    async with await connect(database, "test", bounds) as frozen_, await connect(database, "test") as other:
        await frozen_.execute("select pg_advisory_xact_lock(1)")
        await within_seconds(2, other.execute("select pg_advisory_xact_lock(1)"))
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            await frozen_.execute("select 1")


async def test_parameters_in_the_url_override_defaults(database: str) -> None:
    """Other defaults stay."""
    dsn = f"{database}?options=-c%20lock_timeout%3D77ms&application_name=credits-2&connect_timeout=9"
    async with await connect(dsn, "test") as connection:
        assert connection.info.get_parameters()["connect_timeout"] == "9"
        show = "select current_setting('lock_timeout'), current_setting('statement_timeout'), application_name "
        row = await (await connection.execute(f"{show} from pg_stat_activity where pid = pg_backend_pid()")).fetchone()
    assert row == ("77ms", "5s", "credits-2 test")


async def test_a_silent_connection_is_cut(database: str, proxy: SilentProxy) -> None:
    """Waiting code fails at once with NoAnswer; psycopg's own cancellation would wait for the silent server."""
    async with await connect(behind(proxy, database), "test", autocommit=True) as connection:
        with proxy.silent(), pytest.raises(NoAnswer):
            async with within(0.2, connection):
                await within_seconds(0.2, connection.execute("select 1"))
        assert connection.closed
    with connect_sync(behind(proxy, database), "test", autocommit=True) as blocking:
        with proxy.silent(), pytest.raises(NoAnswer), within_sync(0.2, blocking):
            blocking.execute("select 1")
        assert blocking.closed


async def test_errors_in_time_are_raised_unchanged(database: str) -> None:
    async with await connect(database, "test", autocommit=True) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            async with within(5, connection):
                await connection.execute("select * from nothing")
        async with within(5, connection):
            await connection.execute("select 1")


async def test_a_suspended_process_reads_its_answers(database: str) -> None:
    """Its timers are late, too; answers that came meanwhile are read first."""
    async with await connect(database, "test", autocommit=True) as connection, within(1, connection):
        query = asyncio.create_task(connection.execute("select 'answered' from pg_sleep(0.1)"))
        await asyncio.sleep(0.01)
        time.sleep(2)  # noqa: ASYNC251 - the whole process stands still
        assert await (await query).fetchone() == ("answered",)


async def test_connecting_to_a_silent_server_is_bounded(database: str, proxy: SilentProxy) -> None:
    with proxy.silent(), pytest.raises(psycopg.OperationalError):
        await within_seconds(3, connect(behind(proxy, database), "test"))
