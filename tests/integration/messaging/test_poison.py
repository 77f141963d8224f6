"""An event that fails stops only its own stream; progress reports the event and its error."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from shared.contracts.problem import Problem
from shared.eventstore import EventStore, RecordedEvent
from shared.messaging import RetrySettings
from tests.integration.messaging.parked import all_parked, parked
from tests.integration.messaging.support import (
    OWNER,
    Broker,
    Counted,
    background,
    count,
    opened,
    published,
    relay,
    remembered,
    runner,
)
from tests.support.patience import PATIENCE, eventually
from tests.support.silence import SilentProxy

QUICK = RetrySettings(
    attempts=3, attempts_while_others_pass=4, first_pause=0.01, longest_pause=0.05, look_at_parked_every=0.05
)


class Sick:
    """A handler that raises transient errors for the events of some streams."""

    def __init__(self, *sick: UUID) -> None:
        self.sick = set(sick)
        self.numbers: defaultdict[UUID, list[int]] = defaultdict(list)

    async def __call__(self, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Counted)
        if recorded.stream_id in self.sick:
            raise Problem("UNAVAILABLE", "so it seems")
        self.numbers[recorded.stream_id].append(recorded.event.n)


async def test_hundreds_of_transient_failures_stop_only_their_streams(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """More than may be in flight: others continue, and then the failing ones are parked."""
    failing, healthy = [uuid4() for _ in range(30)], uuid4()
    handler = Sick(*failing)
    consumer = runner(service, nats_url, handler, retries=QUICK, max_in_flight=8)
    async with background(relay(owner, nats_url).run, consumer.run):
        for stream in failing:
            await count(owner, stream, 1)
        for number in range(1, 41):
            await count(owner, healthy, number)
        await eventually(lambda: handler.numbers[healthy] == list(range(1, 41)), "the others go on")
        for number in range(41, 200):
            if len(await parked(service)) == len(failing):
                break
            await count(owner, healthy, number)
        rows = await eventually(lambda: all_parked(service, len(failing)), "parked")
    assert all("while other events went through" in (row.error or "") for row in rows)


async def test_an_error_of_all_events_parks_none(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """No success shows that the server is available, so they are retried, and progress reports the error."""
    streams = [uuid4() for _ in range(20)]
    handler = Sick(*streams)
    consumer = runner(service, nats_url, handler, retries=QUICK, max_in_flight=8)
    async with background(relay(owner, nats_url).run, consumer.run):
        await eventually(lambda: consumer.active, "the consumer leads, and its tables exist")
        for stream in streams:
            await count(owner, stream, 1)

        async def stuck() -> bool:
            [progress] = await consumer.progress()
            return progress.waiting == 20 and progress.stuck(patience=0.3) is not None

        await eventually(stuck, "it says that it is stuck")
        [progress] = await consumer.progress()
        assert progress.event is not None
        assert progress.event.startswith("counted.v1 ")
        assert progress.error is not None
        assert "so it seems" in progress.error
        handler.sick.clear()
        await eventually(lambda: len(handler.numbers) == 20, "all go through")

        async def is_settled() -> bool:
            [progress] = await consumer.progress()
            return progress.waiting == 0 and progress.stuck(patience=0) is None

        await eventually(is_settled, "it says that it is done")
    assert await parked(service) == []


async def test_retries_end_with_the_lease(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Also if a handler turns a cancellation into an error of its own."""
    tried, stream = asyncio.Event(), uuid4()

    async def stubborn(recorded: RecordedEvent) -> None:
        tried.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError from None

    async with background(relay(owner, nats_url).run):
        consumer = asyncio.create_task(runner(service, nats_url, stubborn).run())
        await count(owner, stream, 1)
        await asyncio.wait_for(tried.wait(), 60)
        consumer.cancel()
        await asyncio.wait((consumer,), timeout=PATIENCE)
        assert consumer.done()


async def test_a_relay_that_has_lost_nats_releases_its_lease(owner: EventStore, broker: Broker) -> None:
    """Another replica may reach it. Progress reports the error, and it continues when NATS is back."""
    publisher = relay(owner, broker.url, give_up_after=0.5)
    ends = asyncio.create_task(publisher.publish())
    await count(owner, uuid4(), 1)
    await eventually(lambda: publisher.published, "published")
    broker.kill()
    await count(owner, uuid4(), 1)

    async def stuck() -> bool:
        [progress] = await publisher.progress()
        return progress.stuck(patience=0.2) is not None and progress.error is not None

    await eventually(stuck, "it says that it is stuck")
    await asyncio.wait((ends,), timeout=60)
    assert ends.done()
    assert ends.exception() is None
    broker.start()
    async with background(publisher.run):
        await eventually(lambda: publisher.published == 2, "published")
    assert [headers["Nats-Msg-Id"] for _, headers, _ in await published(broker.url)] == [f"{OWNER}:1", f"{OWNER}:2"]


async def test_a_consumer_that_has_lost_nats_releases_its_lease(
    owner: EventStore, databases: Callable[..., str], broker: Broker
) -> None:
    """A replica with a connection leads instead, and no event is handled twice."""
    here, there, stream, dsn = Sick(), Sick(), uuid4(), databases()
    address = urlsplit(broker.url)
    with SilentProxy((address.hostname or "", address.port or 0)) as proxy:
        url = broker.url.replace(address.netloc.rpartition("@")[2], proxy.address)
        async with opened(dsn) as cut_off, opened(dsn) as other, background(relay(owner, broker.url).run):
            first = runner(cut_off, url, here, give_up_after=0.5)
            second = runner(other, broker.url, there)
            async with background(first.run):
                position = await count(owner, stream, 1)
                await eventually(lambda: here.numbers[stream] == [1], "the first one handles")
                await eventually(lambda: _remembered(other, position), "its mark is kept")
                async with background(second.run):
                    proxy.mode = "cut"
                    await count(owner, stream, 2, 3)
                    await eventually(lambda: there.numbers[stream] == [2, 3], "the second one goes on after the mark")
                    assert (first.active, second.active) == (False, True)
                    assert here.numbers[stream] == [1]


async def _remembered(service: EventStore, position: int) -> bool:
    return await remembered(service) == position


async def test_a_silent_server_is_reported(owner: EventStore, service: EventStore, broker: Broker) -> None:
    """It accepts data and does not answer: relay and consumer report it, and continue afterwards."""
    handler, stream = Sick(), uuid4()
    publisher, consumer = relay(owner, broker.url, ack_timeout=1.0), runner(service, broker.url, handler)
    async with background(publisher.run, consumer.run):
        await count(owner, stream, 1)
        await eventually(lambda: handler.numbers[stream] == [1], "handled")
        with broker.frozen():
            await count(owner, stream, 2)

            async def is_stuck() -> bool:
                [of_relay], [of_consumer] = await publisher.progress(), await consumer.progress()
                return of_relay.stuck(patience=0.5) is not None and of_consumer.stuck(patience=0.5) is not None

            await eventually(is_stuck, "both say that they are stuck")
        await eventually(lambda: handler.numbers[stream] == [1, 2], "handled")

        async def has_recovered() -> bool:
            [of_relay], [of_consumer] = await publisher.progress(), await consumer.progress()
            return of_relay.stuck(patience=0) is None and of_consumer.stuck(patience=0) is None

        await eventually(has_recovered, "both say that all is well")
