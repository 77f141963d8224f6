"""The `eventsourcing` library and our own services on one database: one order, one lock, each wakes the other."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Thread
from uuid import UUID, uuid4

import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import Notification

from shared.eventstore import EventStore
from tests.integration.eventsourcing_adapter.library import LIBRARY, Account, Deposited, Opened, stored
from tests.integration.eventstore.tally import Counted, context, counted
from tests.integration.eventstore.waiting import first, soon, take_append_lock, writers_waiting
from tests.support.patience import PATIENCE, eventually


async def test_an_application_of_the_library(store: EventStore, application: Application[UUID]) -> None:
    """Its aggregates are streams of ours: a service reads them, tails them, and gets them in their order."""
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
    """Both append to one sequence of positions, and both read all of it."""
    await store.append(counted(uuid4(), 0, 1), context())
    await asyncio.to_thread(application.save, Account("Ada"))
    await store.append(counted(uuid4(), 0, 2), context())
    notifications = await asyncio.to_thread(application.recorder.select_notifications, None, 10)
    async with EventStore.open(store.dsn, LIBRARY) as service:
        events = await service.read_all()
    assert [type(recorded.event) for recorded in events] == [Counted, Opened, Counted]
    assert [(notification.id, notification.originator_id, notification.topic) for notification in notifications] == [
        (event.position, event.stream_id, event.type) for event in events
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
    assert [item.id for item in received] == [before.position, *(item.position for item in after)]


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
