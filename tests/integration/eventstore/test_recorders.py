"""The `eventsourcing` library and our own services on one database: one order, one lock, each wakes the other."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Event as Flag
from threading import Thread
from uuid import UUID, uuid4, uuid5

import msgspec
import psycopg
import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError, Notification, OperationalError, StoredEvent, Tracking
from eventsourcing.utils import Environment

from shared.contracts.event import Event
from shared.eventstore import Codec, Context, EventStore
from shared.eventstore.recorders import Factory, StoreProcessRecorder
from tests.integration.eventstore.lossy_proxy import LossyProxy
from tests.integration.eventstore.tally import Counted, context, counted
from tests.integration.eventstore.waiting import first, soon, take_append_lock, writers_waiting
from tests.support.patience import PATIENCE, eventually


class Account(Aggregate):
    """As the library's users write one."""

    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = Decimal(0)

    @event("Deposited")
    def deposit(self, amount: Decimal) -> None:
        self.balance += amount


class Opened(Event, frozen=True, tag=f"{__name__}:Account.Opened"):
    """How a service of ours would read the library's event: its topic is the type, its state the data."""

    owner: str


class Deposited(Event, frozen=True, tag=f"{__name__}:Account.Deposited"):
    amount: dict[str, str]


LIBRARY = Codec([Opened, Deposited, Counted])


@pytest.fixture
def application(store: EventStore) -> Iterator[Application[UUID]]:
    """Of the library, plain, on the store's database."""
    env = {"PERSISTENCE_MODULE": "shared.eventstore.recorders", "DATABASE_URL": store.dsn}
    with Application[UUID](env=env) as running:
        yield running


@pytest.fixture
def factory(store: EventStore) -> Iterator[Factory]:
    factory = Factory(Environment("followers", {"DATABASE_URL": store.dsn}))
    yield factory
    factory.close()


def stored(stream: UUID, version: int, *, topic: str = "topic") -> StoredEvent:
    return StoredEvent(stream, version, topic, b"{}")


async def test_an_application_of_the_library(store: EventStore, application: Application[UUID]) -> None:
    """Its aggregates are streams of ours: a service reads them, tails them, and is told in which order they came."""
    account = Account("Ada")
    account.deposit(Decimal("2.5"))
    recordings = await asyncio.to_thread(application.save, account)

    async with EventStore.open(store.dsn, LIBRARY) as service:
        opened, deposited = await first(2, service.tail(0))
        assert opened.event == Opened("Ada")
        assert deposited.event == Deposited({"_type_": "decimal_str", "_data_": "2.5"})
        assert [opened.stream_id, opened.version, deposited.version] == [account.id, 1, 2]
        assert [recording.notification.id for recording in recordings] == [opened.position, deposited.position]
        assert opened.context.actor == "eventsourcing"
    assert application.repository.get(account.id).balance == Decimal("2.5")


async def test_one_order_for_both(store: EventStore, application: Application[UUID]) -> None:
    """Whoever records takes the next positions; both see the same sequence."""
    await store.append(counted(uuid4(), 0, 1), context())
    await asyncio.to_thread(application.save, Account("Ada"))
    await store.append(counted(uuid4(), 0, 2), context())
    notifications = await asyncio.to_thread(application.recorder.select_notifications, None, 10)
    async with EventStore.open(store.dsn, LIBRARY) as service:
        events = await service.read_all()
    assert [type(recorded.event) for recorded in events] == [Counted, Opened, Counted]
    assert [(each.id, each.originator_id, each.topic) for each in notifications] == [
        (each.position, each.stream_id, each.type) for each in events
    ]


async def test_a_tailer_is_woken_by_the_library(store: EventStore, application: Application[UUID]) -> None:
    """By push, right after the commit."""
    with psycopg.connect(store.dsn, autocommit=True) as sql:
        listening = "select from pg_stat_activity where datname = current_database() and query = 'listen watermarks'"
        await eventually(lambda: sql.execute(listening).fetchone() is not None, "the store listens")
    (recording,) = await asyncio.to_thread(application.save, Account("Ada"))
    assert await soon(store.watermarks.wait_for("events", recording.notification.id, timeout=60))


async def test_a_subscription_is_woken_by_a_service(store: EventStore, application: Application[UUID]) -> None:
    """A subscriber of the library gets what a service appends, in order, and what came before it too."""
    stream = uuid4()
    before = await store.append(counted(stream, 0, 1), context())
    received: list[Notification] = []
    subscription = application.recorder.subscribe(gt=0, topics=["tally_counted.v1"])

    def receive() -> None:
        with subscription:
            received.extend(subscription)

    thread = Thread(target=receive)
    thread.start()
    try:
        await eventually(lambda: len(received) == 1, "it gets what was there")
        after = [await store.append(counted(stream, version, version), context()) for version in range(1, 20)]
        await eventually(lambda: len(received) == 20, "it gets what came then")
    finally:
        subscription.stop()
        thread.join(PATIENCE)
    assert [each.id for each in received] == [before.position, *(each.position for each in after)]


async def test_a_subscription_survives_its_connections(
    store: EventStore, application: Application[UUID], sql: psycopg.Connection
) -> None:
    """It listens again over a new connection, and looks for what it may have missed."""
    received: list[Notification] = []
    subscription = application.recorder.subscribe()

    def receive() -> None:
        with subscription:
            received.extend(subscription)

    thread = Thread(target=receive)
    thread.start()
    try:
        for _ in range(2):
            sql.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            before = len(received)
            await soon(store.append(counted(uuid4(), 0, 1), context()))
            await eventually(lambda: len(received) > before, "it gets the event")  # noqa: B023 - awaited in the same turn
    finally:
        subscription.stop()
        thread.join(PATIENCE)
    assert len(received) == 2


async def test_both_wait_for_one_lock(
    store: EventStore, application: Application[UUID], sql: psycopg.Connection
) -> None:
    """A library writer and a service's writer take turns, so neither's positions can appear behind the other's."""
    take_append_lock(sql)
    tasks = [
        asyncio.create_task(asyncio.to_thread(application.save, Account("Ada"))),
        asyncio.create_task(store.append(counted(uuid4(), 0, 1), context())),
    ]
    await eventually(lambda: writers_waiting(sql) == 2, "both wait")
    sql.execute("rollback")
    await soon(asyncio.gather(*tasks))
    assert len(await asyncio.to_thread(application.recorder.select_notifications, None, 10)) == 2


async def test_threads_of_the_library_beside_a_service(store: EventStore, application: Application[UUID]) -> None:
    """Under load from both, a tailer sees every event once, in order."""
    tail = asyncio.create_task(_count(store, 300))
    with ThreadPoolExecutor(4) as threads:
        loop = asyncio.get_running_loop()
        saves = [
            loop.run_in_executor(threads, application.recorder.insert_events, [stored(uuid4(), 1), stored(uuid4(), 1)])
            for _ in range(75)
        ]
        appends = [store.append(counted(uuid4(), 0, 1), context()) for _ in range(150)]
        await soon(asyncio.gather(*saves, *appends))
    positions = await soon(tail)
    assert positions == sorted(set(positions))


async def _count(store: EventStore, count: int) -> list[int]:
    """The positions of the first `count` events, read piece by piece as a tailer of another kind would."""
    positions: list[int] = []
    async for batch in store.tail(0, types=frozenset()):
        async with store.reader() as cursor:
            await cursor.execute(
                "select position from events where position > %b and position <= %b order by position",
                (positions[-1] if positions else 0, batch.position),
            )
            positions += [row[0] for row in await cursor.fetchall()]
        if len(positions) >= count:
            break
    return positions


class TestCommands:
    async def test_the_context_is_recorded(self, store: EventStore, application: Application[UUID]) -> None:
        """Handed through `save`, it says who commanded, as for the services' own events."""
        told = Context(uuid4(), "user:ada", traceparent="00-1-2-01")
        account = Account("Ada")
        await asyncio.to_thread(application.save, account, context=told)
        async with EventStore.open(store.dsn, LIBRARY) as service:
            (recorded,) = await service.read_stream(account.id)
        assert recorded.context == told
        assert recorded.event_id == uuid5(told.command_id, "0")

    def test_the_same_command_again(self, factory: Factory) -> None:
        """Is not recorded again: its first positions are the answer."""
        recorder, stream, command = factory.application_recorder(), uuid4(), uuid4()
        events = [stored(stream, 1), stored(stream, 2)]
        positions = recorder.insert_events(events, command_id=command)
        recorder.insert_events([stored(uuid4(), 1)])
        assert recorder.insert_events(events, command_id=command) == positions
        assert recorder.max_notification_id() == 3

    def test_another_command_for_the_same_version(self, factory: Factory) -> None:
        """Is a conflict."""
        recorder, stream = factory.application_recorder(), uuid4()
        recorder.insert_events([stored(stream, 1)], command_id=uuid4())
        with pytest.raises(IntegrityError):
            recorder.insert_events([stored(stream, 1)], command_id=uuid4())

    async def test_a_lost_answer(self, store: EventStore) -> None:
        """The recorder tries again over a new connection, and finds its own events."""
        async with LossyProxy.before(store.dsn) as proxy:
            factory = Factory(Environment("lossy", {"DATABASE_URL": proxy.dsn}))
            recorder = await asyncio.to_thread(factory.application_recorder)
            first_positions = await asyncio.to_thread(recorder.insert_events, [stored(uuid4(), 1)])
            # By what is bound and not by the statement's text, which a connection that has prepared it sends no more.
            proxy.lose_answer_to(b"topic of the lost")
            events = [stored(uuid4(), 1, topic="topic of the lost") for _ in range(2)]
            positions = await asyncio.to_thread(recorder.insert_events, events)
            await asyncio.to_thread(factory.close)
        assert proxy.lost == 1
        assert (first_positions, positions) == ([1], [2, 3])
        assert await store.head() == 3


class TestProcesses:
    def test_events_and_tracking_together(self, factory: Factory) -> None:
        """A conflict of either undoes both."""
        recorder, stream = factory.process_recorder(), uuid4()
        recorder.insert_events([stored(stream, 1)], tracking=Tracking("upstream", 5))
        with pytest.raises(IntegrityError):
            recorder.insert_events([stored(stream, 1)], tracking=Tracking("upstream", 6))
        assert recorder.max_tracking_id("upstream") == 5
        with pytest.raises(IntegrityError, match="has processed notification 5 of 'upstream' already"):
            recorder.insert_events([stored(stream, 2)], tracking=Tracking("upstream", 5))
        assert len(recorder.select_events(stream)) == 1

    def test_a_lost_answer_is_no_conflict(self, factory: Factory) -> None:
        """The same command again finds its events, and so knows that its tracking is recorded too."""
        recorder, stream, command = factory.process_recorder(), uuid4(), uuid4()
        tracking = Tracking("upstream", 5)
        positions = recorder.insert_events([stored(stream, 1)], tracking=tracking, command_id=command)
        assert recorder.insert_events([stored(stream, 1)], tracking=tracking, command_id=command) == positions

    def test_followers_are_tracked_each(self, store: EventStore, factory: Factory) -> None:
        """Two projections of the library in one database don't take each other's places."""
        other = Factory(Environment("others", {"DATABASE_URL": store.dsn}))
        factory.tracking_recorder().insert_tracking(Tracking("upstream", 5))
        recorder = other.tracking_recorder()
        assert recorder.max_tracking_id("upstream") is None
        recorder.insert_tracking(Tracking("upstream", 3))
        assert factory.tracking_recorder().max_tracking_id("upstream") == 5
        other.close()

    def test_waiting_for_a_follower(self, factory: Factory) -> None:
        """`wait` of the library ends when the follower gets there."""
        recorder: StoreProcessRecorder = factory.process_recorder()
        done = Flag()

        def wait() -> None:
            recorder.wait("upstream", 5, timeout=PATIENCE)
            done.set()

        thread = Thread(target=wait)
        thread.start()
        recorder.insert_events([stored(uuid4(), 1)], tracking=Tracking("upstream", 5))
        thread.join(PATIENCE)
        assert done.is_set()


class TestFaults:
    def test_postgresql_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is the library's OperationalError, after as many attempts as the library's own recorders make."""
        pauses: list[float] = []
        monkeypatch.setattr("eventsourcing.utils.sleep", pauses.append)
        with pytest.raises(OperationalError):
            Factory(Environment("x", {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"})).application_recorder()

    def test_a_role_that_may_not_create_tables(self, store: EventStore) -> None:
        """With CREATE_TABLE=no nothing is created: a service has made the tables, or an operator."""
        factory = Factory(Environment("x", {"DATABASE_URL": store.dsn, "CREATE_TABLE": "no"}))
        assert factory.application_recorder().insert_events([stored(uuid4(), 1)]) == [1]
        with psycopg.connect(store.dsn) as sql:
            assert sql.execute("select to_regclass('recorder_tracking')").fetchone() == (None,)
        factory.close()


async def test_metadata_is_always_a_context(store: EventStore, application: Application[UUID]) -> None:
    """Relay and consumers read it from every event, whoever recorded it."""
    await asyncio.to_thread(application.save, Account("Ada"))
    async with store.reader() as cursor:
        await cursor.execute("select metadata, event_id from events")
        row = await cursor.fetchone()
    assert row
    told = msgspec.json.decode(row[0], type=Context)
    assert row[1] == uuid5(told.command_id, "0")
