"""A store that is put back to an earlier moment: noticed, told, and nothing of the lost time is believed."""

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
    """Of one database, as `create database … template` makes them: complete, and put back in its place."""

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
    made = Backups(servers, database)
    yield made
    made.drop()


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[LossyProxy]:
    """What the store goes through, so that it is away while it is backed up or put back."""
    async with LossyProxy.before(database) as made:
        yield made


@contextlib.asynccontextmanager
async def away(proxy: LossyProxy) -> AsyncIterator[None]:
    await proxy.go_away()
    yield
    await proxy.come_back()


async def test_a_store_begins_in_its_first_epoch(store: EventStore) -> None:
    assert [(epoch.number, epoch.first_position) for epoch in store.epochs.all] == [(1, 0)]
    appended = await store.append(counted(uuid4(), 0, 1), context())
    assert store.epoch_of(appended.position) == 1


async def test_nothing_is_suspected_while_all_is_there(store: EventStore) -> None:
    """Whatever the batches were made of: several streams, repeats, conflicts, one behind the other."""
    streams = [uuid4() for _ in range(6)]
    told = [context() for _ in range(40)]

    async def write(number: int) -> None:
        pair = streams[number % 6], streams[(number + 1) % 6]
        versions = [(await store.load(TALLY, stream)).version for stream in pair]
        appends = [counted(stream, version, 1, 2)[0] for stream, version in zip(pair, versions, strict=True)]
        with contextlib.suppress(VersionConflict):
            await store.append(appends, told[number % 40])

    for _ in range(5):
        await asyncio.gather(*(write(number) for number in range(60)))
        async with store.pool.connection() as connection:
            await store.epochs.check(connection)
    assert store.epochs.trail.newest == await store.head()
    assert store.epochs.latest.number == 1


async def test_put_back_while_the_process_lives(database: str, proxy: LossyProxy, backups: Backups) -> None:
    """States are what the restored store says, no command conflicts for ever, and the epoch tells what was lost."""
    told: list[int] = []
    async with EventStore.open(proxy.dsn, CODEC) as store:
        store.on_epoch(lambda epoch: told.append(epoch.number))
        kept, lost, both = uuid4(), uuid4(), uuid4()
        await store.handle(TALLY, kept, count(1), context())
        await store.handle(TALLY, both, count(10), context())
        async with away(proxy):
            backup = backups.take()
        before = await soon(store.head())
        await store.handle(TALLY, both, count(20), context())
        for _ in range(3):
            await store.handle(TALLY, lost, count(5), context())
        tail = store.tail(0)
        assert len(await first(6, tail)) == 6
        async with away(proxy):
            backups.put_back(backup)

        with pytest.raises(WentBack):
            await soon(anext(tail))
        assert (await soon(store.load(TALLY, both))).state.total == 10
        assert (await soon(store.load(TALLY, lost))).version == 0
        handled = await soon(store.handle(TALLY, lost, count(7), context()))
        assert (handled.version, handled.state.total) == (1, 7)
        assert (await soon(store.handle(TALLY, both, count(2), context()))).state.total == 12
        assert (await soon(store.load(TALLY, kept))).state.total == 1

        assert told == [2]
        epoch = store.epochs.latest
        assert (epoch.number, epoch.first_position) == (2, before + 1)
        assert epoch.details == {"lost_from": before + 1, "lost_to": before + 4}
        assert (store.epoch_of(before), store.epoch_of(handled.position)) == (1, 2)
        assert [event.position for event in await first(4, store.tail(0))][-1] == await store.head()


async def test_put_back_while_an_append_is_on_its_way(database: str, proxy: LossyProxy, backups: Backups) -> None:
    """What was decided on a state that is gone is decided again, even where the version would fit by chance."""
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


async def test_what_leads_starts_over(database: str, proxy: LossyProxy, backups: Backups) -> None:
    """A follower that remembers a position of the lost time must not write it down, whatever token it has."""
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
        lost = await soon(store.head())
        async with away(proxy):
            backups.put_back(backup)

        async def keep() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                await set_checkpoint(store, "x", lost, started[0])
            return True

        with pytest.raises(Fenced):
            await eventually(lambda: keep_until(store, keep), "it is told")
        assert await checkpoint(store, "x") == 0
        await eventually(lambda: len(started) > 1, "it starts over")
        await stop(leading)


async def keep_until(store: EventStore, keep: Callable[[], Awaitable[bool]]) -> bool:
    await keep()
    return store.epochs.latest.number > 1


async def test_put_back_while_no_process_lives(database: str, backups: Backups) -> None:
    """A process that starts sees that the database is another one than the store was last seen in."""
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
    """One that was still on its way when the store went back."""
    stream = uuid4()
    for _ in range(3):
        await store.handle(SNAPSHOT_TALLY, stream, count(1), context())
    await eventually(lambda: store.pool.rows("select from snapshots", ()), "a snapshot is kept")
    sql.execute("delete from events where version = 3")
    async with EventStore.open(store.dsn, CODEC) as fresh:
        assert (await fresh.load(SNAPSHOT_TALLY, stream)).version == 2


async def test_several_processes_begin_one_epoch(database: str, proxy: LossyProxy, backups: Backups) -> None:
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


async def test_who_sees_it_from_outside_begins_an_epoch(store: EventStore) -> None:
    """The relay does, and others hear of it: at its position, above all that anybody has heard of, once."""
    async with EventStore.open(store.dsn, CODEC) as other:
        for _ in range(5):
            appended = await store.append(counted(uuid4(), 0, 1), context())
        fork = appended.position - 1
        epoch = await store.begin_epoch("the broker has other events", fork, {"found": "x"}, after=7)
        assert (epoch.number, epoch.first_position, epoch.details) == (8, fork, {"found": "x"})
        assert (store.epoch_of(fork - 1), store.epoch_of(fork)) == (1, 8)
        await eventually(lambda: other.epochs.latest.number == 8, "others hear of it")
        again = await other.begin_epoch("the same", fork, {})
        assert again.number == 9, "who knows of an epoch and asks for one means another"


async def test_a_number_that_lies_does_not_make_a_tail_spin(store: EventStore) -> None:
    """A watermark of another life: nothing is there, so nothing is asked for again and again."""
    await store.append(counted(uuid4(), 0, 1), context())
    tail = store.tail(0)
    await first(1, tail)
    store.watermarks.observe("events", 10**9)
    asked, original = 0, store.read_batch

    async def counting(*arguments: object, **options: object) -> object:
        nonlocal asked
        asked += 1
        return await original(*arguments, **options)

    store.read_batch = counting
    waiting = asyncio.create_task(anext(tail))
    await eventually(lambda: asked >= 2, "it has looked, and waits")
    assert store.watermarks.value("events") < 10**9
    await store.append(counted(uuid4(), 0, 1), context())
    assert len((await soon(waiting)).events) == 1
    assert asked < 10


def test_a_trail_keeps_the_newest_and_fewer_of_the_older() -> None:
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
