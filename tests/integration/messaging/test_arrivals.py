"""How far a service has handled another one's published events, also if few of them are for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg

from shared.eventstore import EventStore, RecordedEvent
from shared.messaging import Consumer, ConsumerRunner
from shared.messaging.arrivals import Arrivals
from tests.integration.messaging.support import (
    OWNER,
    Counted,
    Ignored,
    background,
    count,
    relay,
    runner,
)
from tests.support.patience import PATIENCE, eventually

NOT_YET = 0.5
"""Seconds after which what has not arrived counts as behind: many looks at the broker."""


class Gate:
    """A handler that blocks while it is closed."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.begun = 0

    async def __call__(self, _: RecordedEvent) -> None:
        self.begun += 1
        await self.open.wait()


@contextlib.asynccontextmanager
async def arriving(service: EventStore, url: str, *consumers: Consumer) -> AsyncIterator[Arrivals]:
    """Arrivals with a connection, so that a False is due to consumers."""
    arrivals = Arrivals("service", url, service.watermarks)
    arrivals.watch(consumers)
    async with background(arrivals.run):
        await eventually(lambda: arrivals.wait_for_now("nobody", 0.1), "connected")
        yield arrivals


async def test_events_of_other_types_count_as_arrived(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Before the consumer has handled anything, and afterwards; also those settled before this round."""
    gate, consumer = Gate(), runner(service, nats_url, Gate())
    async with background(relay(owner, nats_url).run), arriving(service, nats_url, consumer.consumer) as arrivals:
        async with background(consumer.run):
            assert await arrivals.wait(OWNER, (1, await count(owner, uuid4(), 1, 2, event=Ignored)), PATIENCE)
            assert await arrivals.wait(OWNER, (1, await count(owner, uuid4(), 1, 2)), PATIENCE)
            assert await arrivals.wait(OWNER, (1, await count(owner, uuid4(), 1, event=Ignored)), PATIENCE)
        last = await count(owner, uuid4(), 1, event=Ignored)
        async with background(runner(service, nats_url, gate).run):
            assert await arrivals.wait(OWNER, (1, last), PATIENCE)
            assert await arrivals.wait_for_now(OWNER, PATIENCE)
    assert gate.begun == 0, "nothing came again"


async def test_events_in_flight_have_not_arrived(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Earlier events have; later ones have not, whatever their type."""
    gate = Gate()
    consumer = runner(service, nats_url, gate)
    async with (
        background(relay(owner, nats_url).run, consumer.run),
        arriving(service, nats_url, consumer.consumer) as arrivals,
    ):
        first = await count(owner, uuid4(), 1)
        assert await arrivals.wait(OWNER, (1, first), PATIENCE)
        gate.open.clear()
        held = await count(owner, uuid4(), 1)
        await eventually(lambda: gate.begun == 2, "in hand")
        last = await count(owner, uuid4(), 1, event=Ignored)
        assert not await arrivals.wait(OWNER, (1, held), NOT_YET)
        assert not await arrivals.wait(OWNER, (1, last), NOT_YET)
        assert not await arrivals.wait_for_now(OWNER, NOT_YET)
        gate.open.set()
        assert await arrivals.wait(OWNER, (1, last), PATIENCE)


async def test_a_consumer_that_is_behind_delays_arrival(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Of two consumers of the same events, one does not run yet."""
    runs, idle = runner(service, nats_url, Gate()), Consumer("idle-v1", OWNER, (Counted,), Gate())
    async with (
        background(relay(owner, nats_url).run, runs.run),
        arriving(service, nats_url, runs.consumer, idle) as arrivals,
    ):
        position = await count(owner, uuid4(), 1)
        await eventually(lambda: runs.handler.attempts.handled == 1, "handled by the one")
        assert not await arrivals.wait(OWNER, (1, position), NOT_YET)
        async with background(ConsumerRunner(service, idle, nats_url).run):
            assert await arrivals.wait(OWNER, (1, position), PATIENCE)


async def test_without_a_broker_nothing_counts_as_arrived(service: EventStore) -> None:
    consumer = Consumer("tests-v1", OWNER, (Counted,), Gate())
    arrivals = Arrivals("service", "nats://127.0.0.1:1", service.watermarks)
    arrivals.watch([consumer])
    async with background(arrivals.run):
        assert not await arrivals.wait_for_now(OWNER, 0.1)
        assert not await arrivals.wait(OWNER, (1, 1), 0.1)


async def test_a_hundred_waiters_need_no_database_query(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """They share the broker's answers, and arrival wakes all of them."""
    consumer = runner(service, nats_url, Gate())
    select_commits = "select xact_commit from pg_stat_database where datname = current_database()"
    async with background(relay(owner, nats_url).run), arriving(service, nats_url, consumer.consumer) as arrivals:
        place = (1, await count(owner, uuid4(), 1))
        async with await psycopg.AsyncConnection.connect(service.dsn, autocommit=True) as sql:

            async def statements() -> int:
                row = await (await sql.execute(select_commits)).fetchone()
                assert row is not None
                return int(row[0])

            before = await statements()
            waits = (arrivals.wait(OWNER, place, NOT_YET) for _ in range(100))
            assert not any(await asyncio.gather(*waits)), "no replica consumes"
            assert await statements() - before < 100
        async with background(consumer.run):
            assert all(await asyncio.gather(*(arrivals.wait(OWNER, place, PATIENCE) for _ in range(100))))
