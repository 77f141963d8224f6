"""A store that is restored to an earlier moment: it is detected and logged, and nothing in memory outlives it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from shared.eventstore import EventStore, VersionConflict
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.epochs import Trail, WentBack
from shared.eventstore.lease import Fenced, Lease
from shared.stopping import stop
from tests.integration.eventstore.lossy_proxy import LossyProxy
from tests.integration.eventstore.tally import CODEC, SNAPSHOT_TALLY, TALLY, Counted, context, count, counted
from tests.integration.eventstore.waiting import first, soon
from tests.support.patience import eventually
from tests.support.servers import Servers


class Backups:
    """Complete backups of one database (`create database … template`), and their restore."""

    def __init__(self, servers: Servers, dsn: str) -> None:
        self._servers, self._name = servers, urlsplit(dsn).path.lstrip("/")
        self._made: list[str] = []

    def take(self) -> str:
        backup = f"{self._name}_backup_{len(self._made)}"
        self._copy(self._name, backup)
        self._made.append(backup)
        return backup

    def put_back(self, backup: str) -> None:
        with psycopg.connect(self._servers.postgres_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(self._name)))
        self._copy(backup, self._name)

    def _copy(self, source: str, target: str) -> None:
        with psycopg.connect(self._servers.postgres_dsn, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (source,)
            )
            statement = sql.SQL("create database {} template {}")
            connection.execute(statement.format(sql.Identifier(target), sql.Identifier(source)))

    def drop(self) -> None:
        with psycopg.connect(self._servers.postgres_dsn, autocommit=True) as connection:
            for name in self._made:
                connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def backups(servers: Servers, database: str) -> Iterator[Backups]:
    database_backups = Backups(servers, database)
    yield database_backups
    database_backups.drop()


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[LossyProxy]:
    """A proxy before the store's database, so that it can be unreachable during a backup or a restore."""
    async with LossyProxy.before(database) as lossy_proxy:
        yield lossy_proxy


@contextlib.asynccontextmanager
async def away(proxy: LossyProxy) -> AsyncIterator[None]:
    await proxy.go_away()
    yield
    await proxy.come_back()


async def test_a_store_begins_in_its_first_epoch(store: EventStore) -> None:
    assert [(epoch.number, epoch.first_position) for epoch in store.epochs.all] == [(1, 0)]
    appended = await store.append(counted(uuid4(), 0, 1), context())
    assert store.epoch_of(appended.position) == 1


async def test_no_epoch_begins_without_a_restore(store: EventStore) -> None:
    """With several streams, repeated commands, conflicts and consecutive appends in the batches."""
    streams = [uuid4() for _ in range(6)]
    commands = [context() for _ in range(40)]

    async def write(number: int) -> None:
        pair = streams[number % 6], streams[(number + 1) % 6]
        versions = [(await store.load(TALLY, stream)).version for stream in pair]
        appends = [counted(stream, version, 1, 2)[0] for stream, version in zip(pair, versions, strict=True)]
        with contextlib.suppress(VersionConflict):
            await store.append(appends, commands[number % 40])

    for _ in range(5):
        await asyncio.gather(*(write(number) for number in range(60)))
        async with store.pool.connection() as connection:
            await store.epochs.check(connection)
    assert store.epochs.trail.newest == await store.head()
    assert store.epochs.latest.number == 1


async def test_a_restore_under_a_running_process_is_detected(
    database: str, proxy: LossyProxy, backups: Backups
) -> None:
    """States are those of the restored store, commands do not conflict, and the epoch names the lost positions."""
    epochs: list[int] = []
    async with EventStore.open(proxy.dsn, CODEC) as store:
        store.on_epoch(lambda epoch: epochs.append(epoch.number))
        unchanged, after, both = uuid4(), uuid4(), uuid4()
        await store.handle(TALLY, unchanged, count(1), context())
        await store.handle(TALLY, both, count(10), context())
        async with away(proxy):
            backup = backups.take()
        before = await soon(store.head())
        await store.handle(TALLY, both, count(20), context())
        for _ in range(3):
            await store.handle(TALLY, after, count(5), context())
        tail = store.tail(0)
        assert len(await first(6, tail)) == 6
        async with away(proxy):
            backups.put_back(backup)

        with pytest.raises(WentBack):
            await soon(anext(tail))
        assert (await soon(store.load(TALLY, both))).state.total == 10
        assert (await soon(store.load(TALLY, after))).version == 0
        handled = await soon(store.handle(TALLY, after, count(7), context()))
        assert (handled.version, handled.state.total) == (1, 7)
        assert (await soon(store.handle(TALLY, both, count(2), context()))).state.total == 12
        assert (await soon(store.load(TALLY, unchanged))).state.total == 1

        assert epochs == [2]
        epoch = store.epochs.latest
        assert (epoch.number, epoch.first_position) == (2, before + 1)
        assert epoch.details == {"lost_from": before + 1, "lost_to": before + 4}
        assert (store.epoch_of(before), store.epoch_of(handled.position)) == (1, 2)
        assert [event.position for event in await first(4, store.tail(0))][-1] == await store.head()


async def test_an_append_during_a_restore_is_decided_again(database: str, proxy: LossyProxy, backups: Backups) -> None:
    """Even if its expected version matches by chance."""
    async with EventStore.open(proxy.dsn, CODEC) as store, EventStore.open(database, CODEC) as other:
        stream = uuid4()
        await store.handle(TALLY, stream, count(1), context())
        async with away(proxy):
            backup = backups.take()
        await soon(store.handle(TALLY, stream, count(100), context()))
        async with away(proxy):
            backups.put_back(backup)
            assert (await soon(other.load(TALLY, stream))).version == 1
            await soon(other.handle(TALLY, stream, count(2), context()))
        handled = await soon(store.handle(TALLY, stream, lambda tally: [Counted(tally.total)], context()))
        assert handled.state.total == 6
        assert (await soon(other.load(TALLY, stream))).state.total == 6


async def test_leaders_start_over_after_a_restore(database: str, proxy: LossyProxy, backups: Backups) -> None:
    """A position from before the restore must not be stored, whatever the fencing token."""
    async with EventStore.open(proxy.dsn, CODEC) as store:
        started: list[Lease] = []

        async def follow(lease: Lease) -> None:
            started.append(lease)
            await asyncio.Event().wait()

        leading = asyncio.create_task(store.leases.run_as_leader("x", follow))
        await eventually(lambda: started, "it leads")
        await store.append(counted(uuid4(), 0, 1), context())
        async with away(proxy):
            backup = backups.take()
        await soon(store.append(counted(uuid4(), 0, *range(5)), context()))
        lost_position = await soon(store.head())
        async with away(proxy):
            backups.put_back(backup)

        async def keep() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                await set_checkpoint(store, "x", lost_position, started[0])
            return True

        with pytest.raises(Fenced):
            await eventually(lambda: keep_until(store, keep), "the lost position is stored")
        assert await checkpoint(store, "x") == 0
        await eventually(lambda: len(started) > 1, "it starts over")
        await stop(leading)


async def keep_until(store: EventStore, keep: Callable[[], Awaitable[bool]]) -> bool:
    await keep()
    return store.epochs.latest.number > 1


async def test_a_restore_before_the_start_is_detected(database: str, backups: Backups) -> None:
    """The server, timeline or database differs from the one last recorded."""
    stream = uuid4()
    async with EventStore.open(database, CODEC) as store:
        await store.append(counted(stream, 0, 1), context())
    backup = backups.take()
    async with EventStore.open(database, CODEC) as store:
        await store.append(counted(stream, 1, 2), context())
    backups.put_back(backup)
    async with EventStore.open(database, CODEC) as store:
        head = await store.head()
        assert (store.epochs.latest.number, store.epochs.latest.first_position) == (2, head + 1)
        assert "another" in store.epochs.latest.reason
    async with EventStore.open(database, CODEC) as store:
        assert store.epochs.latest.number == 2


async def test_snapshots_of_lost_events_are_not_used(store: EventStore, sql: psycopg.Connection) -> None:
    """Also one that is stored while the store is restored."""
    stream = uuid4()
    for _ in range(3):
        await store.handle(SNAPSHOT_TALLY, stream, count(1), context())
    await eventually(lambda: store.pool.rows("select from snapshots", ()), "a snapshot is kept")
    sql.execute("delete from events where version = 3")
    async with EventStore.open(store.dsn, CODEC) as fresh:
        assert (await fresh.load(SNAPSHOT_TALLY, stream)).version == 2


async def test_concurrent_checks_begin_one_epoch(database: str, proxy: LossyProxy, backups: Backups) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(EventStore.open(proxy.dsn, CODEC)) for _ in range(3)]
        await stores[0].append(counted(uuid4(), 0, 1), context())
        async with away(proxy):
            backup = backups.take()
        for store in stores:
            await soon(store.append(counted(uuid4(), 0, 1), context()))
        for store in stores:
            await first(4, store.tail(0))
        async with away(proxy):
            backups.put_back(backup)
        for store in stores:
            await soon(store.handle(TALLY, uuid4(), count(1), context()))
        assert [store.epochs.latest.number for store in stores] == [2, 2, 2]


async def test_begin_epoch_begins_one_epoch(store: EventStore) -> None:
    """As the relay calls it: at its position, with a number above all known ones; other processes read it."""
    async with EventStore.open(store.dsn, CODEC) as other:
        for _ in range(5):
            appended = await store.append(counted(uuid4(), 0, 1), context())
        fork = appended.position - 1
        epoch = await store.begin_epoch("the broker has other events", fork, {"found": "x"}, after=7)
        assert (epoch.number, epoch.first_position, epoch.details) == (8, fork, {"found": "x"})
        assert (store.epoch_of(fork - 1), store.epoch_of(fork)) == (1, 8)
        await eventually(lambda: other.epochs.latest.number == 8, "other processes read it")
        repeated = await other.begin_epoch("the same", fork, {})
        assert repeated.number == 9, "a number above the one of a caller that knows the epoch"


async def test_a_watermark_beyond_the_last_event_does_not_make_a_tail_spin(store: EventStore) -> None:
    """It is from before a restore."""
    await store.append(counted(uuid4(), 0, 1), context())
    tail = store.tail(0)
    await first(1, tail)
    store.watermarks.observe("events", 10**9)
    reads, original = 0, store.read_batch

    async def counting(*arguments: object, **options: object) -> object:
        nonlocal reads
        reads += 1
        return await original(*arguments, **options)

    store.read_batch = counting
    waiting = asyncio.create_task(anext(tail))
    await eventually(lambda: reads >= 2, "it has looked, and waits")
    assert store.watermarks.value("events") < 10**9
    await store.append(counted(uuid4(), 0, 1), context())
    assert len((await soon(waiting)).events) == 1
    assert reads < 10


def test_a_trail_keeps_the_newest_events_and_fewer_older_ones() -> None:
    trail = Trail()
    for position in range(1, 100_000):
        trail.note(position, uuid4())
    assert trail.newest == 99_999
    events = list(trail._events)
    assert len(events) <= 512
    assert events[-256:] == list(range(99_744, 100_000))
    assert events[0] < 50_000
    trail.cut(99_990)
    assert trail.newest == 99_989
