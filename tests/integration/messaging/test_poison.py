"""One event that does not go through stops nobody but its own stream; what waits is said, with its event and error."""

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
    """A handler for which the events of some streams fail, in a way that looks like a server that is away."""

    def __init__(self, *sick: UUID) -> None:
        self.sick = set(sick)
        self.seen: defaultdict[UUID, list[int]] = defaultdict(list)

    async def __call__(self, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Counted)
        if recorded.stream_id in self.sick:
            raise Problem("UNAVAILABLE", "so it seems")
        self.seen[recorded.stream_id].append(recorded.event.n)


async def test_hundreds_that_seem_to_wait_for_a_server_stall_nobody(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """More than may be in flight: others go on, and once that shows, the sick ones are parked."""
    sick, well = [uuid4() for _ in range(30)], uuid4()
    handler = Sick(*sick)
    consumer = runner(service, nats_url, handler, retries=QUICK, max_in_flight=8)
    async with background(relay(owner, nats_url).run, consumer.run):
        for stream in sick:
            await count(owner, stream, 1)
        for number in range(1, 41):
            await count(owner, well, number)
        await eventually(lambda: handler.seen[well] == list(range(1, 41)), "the others go on")
        for number in range(41, 200):
            if len(await parked(service)) == len(sick):
                break
            await count(owner, well, number)
        rows = await eventually(lambda: all_parked(service, len(sick)), "parked")
    assert all("while other events went through" in (row.error or "") for row in rows)


async def test_a_fault_of_all_events_parks_none(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Nothing shows that the server answers anybody: they are waited for, and progress says on what."""
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
        await eventually(lambda: len(handler.seen) == 20, "all go through")

        async def done() -> bool:
            [progress] = await consumer.progress()
            return progress.waiting == 0 and progress.stuck(patience=0) is None

        await eventually(done, "it says that it is done")
    assert await parked(service) == []


async def test_waiting_retries_end_with_the_lease(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """A handler that turns a cancellation into an error of its own does not keep its event alive."""
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


async def test_a_relay_that_has_lost_nats_gives_up(owner: EventStore, broker: Broker) -> None:
    """Another replica may have a way to it. Its progress says what is wrong meanwhile, and it goes on by itself."""
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


async def test_a_consumer_that_has_lost_nats_gives_its_lease_up(
    owner: EventStore, databases: Callable[..., str], broker: Broker
) -> None:
    """Its connection alone is lost: a replica that has one leads instead, and no event is handled twice."""
    here, there, stream, dsn = Sick(), Sick(), uuid4(), databases()
    address = urlsplit(broker.url)
    with SilentProxy((address.hostname or "", address.port or 0)) as proxy:
        url = broker.url.replace(address.netloc.rpartition("@")[2], proxy.address)
        async with opened(dsn) as cut_off, opened(dsn) as other, background(relay(owner, broker.url).run):
            first = runner(cut_off, url, here, give_up_after=0.5)
            second = runner(other, broker.url, there)
            async with background(first.run):
                position = await count(owner, stream, 1)
                await eventually(lambda: here.seen[stream] == [1], "the first one handles")
                await eventually(lambda: _remembered(other, position), "its mark is kept")
                async with background(second.run):
                    proxy.mode = "cut"
                    await count(owner, stream, 2, 3)
                    await eventually(lambda: there.seen[stream] == [2, 3], "the second one goes on after the mark")
                    assert (first.active, second.active) == (False, True)
                    assert here.seen[stream] == [1]


async def _remembered(service: EventStore, position: int) -> bool:
    return await remembered(service) == position


async def test_a_silent_server_is_told_and_outlived(owner: EventStore, service: EventStore, broker: Broker) -> None:
    """It takes what it is sent and answers nothing: relay and consumer say so, and go on by themselves afterwards."""
    handler, stream = Sick(), uuid4()
    publisher, consumer = relay(owner, broker.url, ack_timeout=1.0), runner(service, broker.url, handler)
    async with background(publisher.run, consumer.run):
        await count(owner, stream, 1)
        await eventually(lambda: handler.seen[stream] == [1], "handled")
        with broker.frozen():
            await count(owner, stream, 2)

            async def told() -> bool:
                [said], [heard] = await publisher.progress(), await consumer.progress()
                return said.stuck(patience=0.5) is not None and heard.stuck(patience=0.5) is not None

            await eventually(told, "both say that they are stuck")
        await eventually(lambda: handler.seen[stream] == [1, 2], "handled")

        async def well() -> bool:
            [said], [heard] = await publisher.progress(), await consumer.progress()
            return said.stuck(patience=0) is None and heard.stuck(patience=0) is None

        await eventually(well, "both say that all is well")
