"""Servers die, forget or are restored, deliveries get lost: a consumer goes on, and every event has one effect."""

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


async def test_a_server_that_is_away_is_not_held_against_an_event(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Infrastructure faults are waited out, however many, and park nothing."""
    faults: list[Exception] = [
        StoreUnavailable("no database"),
        ConnectionRefusedError(),
        Problem("UNAVAILABLE", "away"),
    ]
    left, journal, stream = faults * 3, Journal(), uuid4()

    async def handle(recorded: RecordedEvent) -> None:
        if left:
            raise left.pop()
        await journal(recorded)

    consumer = runner(service, nats_url, handle)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, stream, 1, 2)
        await eventually(lambda: len(journal) == 2, "handled")
        assert (await consumer.lag()).parked == 0
    assert journal.seen == {stream: [1, 2]}


async def test_deliveries_that_got_lost_come_before_newer_ones(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Somebody else pulls from the consumer and dies: the gap in the numbers is seen, and nothing overtakes."""
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
    assert journal.seen == {stream: list(range(1, last + 1))}
    assert consumer.subscription.rounds > 1, "something must have been stolen"


async def test_a_consumer_that_was_deleted_is_made_again(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """An operator deletes it from the stream: it goes on where it was."""
    effects, stream = Effects(service), uuid4()
    consumer = runner(service, nats_url, effects)
    async with background(relay(owner, nats_url).run, consumer.run), connected(nats_url, "test") as client:
        await count(owner, stream, 1, 2)
        await eventually(lambda: effects.calls == 2, "handled")
        await client.jetstream().delete_consumer(STREAM, ordered_name("tests-v1"))
        await count(owner, stream, 3)
        await eventually(lambda: effects.calls == 3, "handled again")
    assert await effects.recorded() == {stream: [1, 2, 3]}


async def test_a_killed_nats_is_waited_for(owner: EventStore, service: EventStore, broker: Broker) -> None:
    """kill -9 in the middle of the work, several times: everything is handled, in order, no effect twice."""
    effects = Effects(service)
    consumer = runner(service, broker.url, effects)
    streams: dict[UUID, list[int]] = {}
    async with background(relay(owner, broker.url).run, consumer.run):
        for _ in range(3):
            handled = effects.calls
            streams |= {stream: [1, 2, 3, 4, 5] for stream in await count_at_once(owner, streams=10, each=5)}
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
    """Streams and durables are gone: they come again, and every event with them; its effect is there already."""
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


async def test_what_is_settled_is_passed_over_when_it_comes_again(
    owner: EventStore, service: EventStore, broker: Broker
) -> None:
    """After a wipe the whole history comes again; a replica that just started does not handle it again."""
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
    assert second.seen == {stream: [21]}


async def test_a_restored_owner_is_not_taken_for_what_it_was(
    databases: Callable[..., str], service: EventStore, broker: Broker
) -> None:
    """Its database was replaced by an older one, and the broker wiped: the same positions are other events."""
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
    assert journal.seen == {old: [1, 2, 3], new: [1, 2, 3]}


async def test_a_restarted_postgresql_is_waited_for(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Every connection of the service is cut, the lease's too: it goes on by itself."""
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
