"""Servers die, lose data or are restored, deliveries get lost: consumers continue, and each event has one effect."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from uuid import UUID, uuid4

import nats.errors
import nats.js.errors

from shared.contracts.problem import Problem
from shared.eventstore import EventStore, RecordedEvent, StoreUnavailable
from shared.messaging import connected
from shared.messaging.subscription import ordered_name
from tests.integration.messaging.handlers import Effects, Journal
from tests.integration.messaging.support import (
    STREAM,
    Broker,
    background,
    count,
    count_at_once,
    cut_connections,
    forget,
    once_up,
    opened,
    relay,
    remembered,
    runner,
)
from tests.support.patience import eventually


async def test_transient_errors_park_nothing(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """However many there are."""
    faults: list[Exception] = [
        StoreUnavailable("no database"),
        ConnectionRefusedError(),
        Problem("UNAVAILABLE", "away"),
    ]
    errors, journal, stream = faults * 3, Journal(), uuid4()

    async def handle(recorded: RecordedEvent) -> None:
        if errors:
            raise errors.pop()
        await journal(recorded)

    consumer = runner(service, nats_url, handle)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, stream, 1, 2)
        await eventually(lambda: len(journal) == 2, "handled")
        assert (await consumer.lag()).parked == 0
    assert journal.numbers == {stream: [1, 2]}


async def test_lost_deliveries_are_repeated_before_newer_ones(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Another client takes deliveries of the consumer: the gap in the sequence is detected."""
    journal, stream = Journal(), uuid4()
    consumer = runner(service, nats_url, journal)
    async with background(relay(owner, nats_url).run, consumer.run), connected(nats_url, "thief") as thief:
        await count(owner, stream, 1)
        await eventually(lambda: len(journal) == 1, "handled")

        async def steal() -> None:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                stolen = await thief.jetstream().pull_subscribe_bind(ordered_name("tests-v1"), stream=STREAM)
                await stolen.fetch(5, timeout=0.5)

        numbers = iter(range(2, 2000))
        for _ in range(50):
            await asyncio.gather(steal(), count(owner, stream, *itertools.islice(numbers, 20)))
            if consumer.subscription.rounds > 1:
                break
        last = next(numbers) - 1
        await eventually(lambda: len(journal) >= last, "all handled")
    assert journal.numbers == {stream: list(range(1, last + 1))}
    assert consumer.subscription.rounds > 1, "something must have been stolen"


async def test_a_deleted_consumer_is_created_again(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """It continues at its checkpoint."""
    effects, stream = Effects(service), uuid4()
    consumer = runner(service, nats_url, effects)
    async with background(relay(owner, nats_url).run, consumer.run), connected(nats_url, "test") as client:
        await count(owner, stream, 1, 2)
        await eventually(lambda: effects.calls == 2, "handled")
        await client.jetstream().delete_consumer(STREAM, ordered_name("tests-v1"))
        await count(owner, stream, 3)
        await eventually(lambda: effects.calls == 3, "handled again")
    assert await effects.recorded() == {stream: [1, 2, 3]}


async def test_events_are_handled_once_when_nats_is_killed(
    owner: EventStore, service: EventStore, broker: Broker
) -> None:
    """Several times, with kill -9: everything is handled in order, no effect twice."""
    effects = Effects(service)
    consumer = runner(service, broker.url, effects)
    streams: dict[UUID, list[int]] = {}
    async with background(relay(owner, broker.url).run, consumer.run):
        for _ in range(3):
            handled = effects.calls
            streams |= {stream: [1, 2, 3, 4, 5] for stream in await count_at_once(owner, streams=10, amount=5)}
            await eventually(lambda: effects.calls > handled, "some handled")  # noqa: B023 - awaited within the round
            broker.kill()
            broker.start()

        async def all_there() -> bool:
            return sum(map(len, (await effects.recorded()).values())) >= 150

        await eventually(all_there, "all handled")
    assert await effects.recorded() == streams


async def test_a_wiped_nats_is_refilled_and_nothing_happens_twice(
    owner: EventStore, service: EventStore, broker: Broker
) -> None:
    """Streams and consumers are created again, and all events are delivered again; their effects exist already."""
    effects, stream = Effects(service), uuid4()
    consumer = runner(service, broker.url, effects)
    async with background(relay(owner, broker.url).run):
        async with background(consumer.run):
            await count(owner, stream, 1, 2, 3)
            await eventually(lambda: effects.calls == 3, "handled")
            broker.kill()
            broker.wipe()
            broker.start()
            await count(owner, stream, 4)
            await eventually(lambda: effects.calls == 4, "refilled")
        await forget(service)
        broker.kill()
        broker.wipe()
        broker.start()
        async with background(runner(service, broker.url, effects).run):  # one that remembers nothing
            await eventually(lambda: effects.calls == 8, "everything came again")
    assert await effects.recorded() == {stream: [1, 2, 3, 4]}


async def test_settled_events_are_skipped_when_they_are_delivered_again(
    owner: EventStore, service: EventStore, broker: Broker
) -> None:
    """After a wipe, also by a replica that has just started."""
    first, second, stream = Journal(), Journal(), uuid4()
    async with background(relay(owner, broker.url).run):
        async with background(runner(service, broker.url, first).run):
            last = await count(owner, stream, *range(1, 21))

            async def settled() -> bool:
                return await remembered(service) == last

            await eventually(settled, "settled")
        broker.kill()
        broker.wipe()
        broker.start()
        async with background(runner(service, broker.url, second).run):
            await count(owner, stream, 21)
            await eventually(lambda: len(second) == 1, "handled")
    assert second.numbers == {stream: [21]}


async def test_a_restored_owners_events_are_new_ones(
    databases: Callable[..., str], service: EventStore, broker: Broker
) -> None:
    """Its database is an older one and the broker is empty: the same positions have other events."""
    journal, old, new = Journal(), uuid4(), uuid4()
    consumer = runner(service, broker.url, journal)
    async with opened(databases()) as owner, background(relay(owner, broker.url).run, consumer.run):
        last = await count(owner, old, 1, 2, 3)

        async def settled() -> bool:
            return await remembered(service) == last

        await eventually(settled, "settled")
    broker.kill()
    broker.wipe()
    broker.start()
    consumer = runner(service, broker.url, journal)
    async with opened(databases()) as restored, background(relay(restored, broker.url).run, consumer.run):
        await count(restored, new, 1, 2, 3)
        await eventually(lambda: len(journal) == 6, "handled")
    assert journal.numbers == {old: [1, 2, 3], new: [1, 2, 3]}


async def test_consumers_continue_after_a_restart_of_postgresql(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """All connections of the service are terminated, the lease's too."""
    effects, stream = Effects(service), uuid4()
    consumer = runner(service, nats_url, effects)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, stream, 1)
        await eventually(lambda: effects.calls, "handled")
        await cut_connections(service.dsn)
        await count(owner, stream, 2, 3)

        async def all_there() -> bool:
            return bool(await once_up(effects.recorded) == {stream: [1, 2, 3]})

        await eventually(all_there, "all handled")
        assert (await consumer.lag()).parked == 0
