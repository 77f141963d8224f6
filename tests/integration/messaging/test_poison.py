"""One event that does not go through stops nobody but its own stream; what waits is said, with its event and error."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from nats.js.api import StreamConfig

from shared.contracts.problem import Problem
from shared.eventstore import Codec, EventStore, RecordedEvent, StreamAppend
from shared.eventstore.records import Context
from shared.messaging import RetrySettings, connected, operators, parking
from tests.integration.messaging.parked import connect, parked
from tests.integration.messaging.support import (
    EVENTS,
    OWNER,
    STREAM,
    Broker,
    Counted,
    Text,
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
        rows = await eventually(lambda: _all_parked(service, len(sick)), "parked")
    assert all("while other events went through" in (row.error or "") for row in rows)


async def _all_parked(service: EventStore, number: int) -> list[parking.Parked] | None:
    rows = await parked(service)
    return rows if len(rows) == number else None


async def _none_parked(service: EventStore) -> bool:
    return not await parked(service)


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


async def say(store: EventStore, stream: UUID, *texts: str) -> list[int]:
    positions = []
    for version, text in enumerate(texts):
        appended = await store.append([StreamAppend(stream, version, [Text(text=text)])], Context(uuid4(), "tester"))
        positions.append(appended.position)
    return positions


async def test_an_event_that_the_broker_refuses_holds_up_nobody(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """It is parked, a message in its place names it, and its stream waits at consumers until it is retried."""
    big, small = uuid4(), uuid4()
    seen: list[tuple[UUID, str]] = []

    async def handle(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Text)
        seen.append((recorded.stream_id, recorded.event.text[:5]))

    publisher = relay(owner, nats_url)
    consumer = runner(service, nats_url, handle, events=(Text,))
    async with background(publisher.run, consumer.run), connected(nats_url, "test") as client:
        js = client.jetstream()
        await eventually(lambda: publisher.resyncs, "there is a stream")
        config = (await js.stream_info(STREAM)).config
        await js.update_stream(StreamConfig(**{**config.__dict__, "max_msg_size": 4000}))
        await say(owner, big, "one", "huge " * 2000, "three")
        await say(owner, small, "a", "b")
        await eventually(lambda: (small, "b") in seen, "what comes behind it is published and handled")
        assert [text for stream, text in seen if stream == big] == ["one"]
        [row] = await parked_by(owner, "relay")
        assert (row.stream_id, row.type) == (big, "text.v1")
        [progress] = await publisher.progress()
        assert progress.parked == 1
        headers = next(headers for _, headers, _ in await published(nats_url) if "ce-withheld" in headers)
        assert headers["ce-id"] == row.message_id
        waiting = await eventually(lambda: _all_parked(service, 2), "it and the next one wait")
        assert [each.status for each in waiting] == ["parked", "waiting"]

        async with await connect(owner) as connection:
            await operators.retry(connection, row.id, by="olga")
            await eventually(lambda: _status(owner, row.id, "parked", actions=3), "it is refused again")
            await js.update_stream(StreamConfig(**{**config.__dict__, "max_msg_size": -1}))
            await operators.retry(connection, row.id, by="olga")
        await eventually(lambda: [text for stream, text in seen if stream == big] == ["one", "huge ", "three"], "all")
        await eventually(lambda: _status(owner, row.id, "handled"), "published after all")
        await eventually(lambda: _none_parked(service), "nothing waits any more")
        await say(owner, uuid4(), "later")
        await eventually(lambda: seen[-1][1] == "later", "publishing goes on")


async def parked_by(store: EventStore, name: str) -> list[parking.Parked]:
    async with await connect(store) as connection:
        return await operators.list_parked(connection, name)


async def _status(store: EventStore, parked_id: int, status: str, *, actions: int = 0) -> bool:
    async with await connect(store) as connection:
        row, done = await operators.inspect(connection, parked_id)
        return row.status == status and len(done) >= actions


async def test_an_event_that_is_larger_than_any_message_may_be(owner: EventStore, broker: Broker) -> None:
    """The server would end the connection over it, so it is not even sent."""
    broker.limit_payload(200_000)
    publisher = relay(owner, broker.url)
    async with background(publisher.run):
        await say(owner, uuid4(), "x" * 250_000, "next")
        await say(owner, uuid4(), "other")

        async def all_published() -> bool:
            return len(await published(broker.url)) == 3

        await eventually(all_published, "the others are published")
        [row] = await parked_by(owner, "relay")
    assert (row.error or "").startswith("it is larger than the broker's limit of 200000 bytes")
    assert publisher.resyncs == 1, "nothing broke"


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


async def test_an_event_of_an_unknown_type_holds_up_nobody(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """A replica of the release that knows it gets time to lead; then it is withheld, until such a release runs."""
    mixed, other = uuid4(), uuid4()
    seen: list[tuple[UUID, str]] = []

    async def handle(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Text)
        seen.append((recorded.stream_id, recorded.event.text))

    consumer = runner(service, nats_url, handle, events=(Text,))
    await say(owner, mixed, "one", "two", "three")
    await say(owner, other, "a")
    async with EventStore.open(owner.dsn, Codec(EVENTS)) as older:
        before = relay(older, nats_url, unknown_patience=1.0)
        async with background(before.run, consumer.run):
            await count(older, uuid4(), 1)
            await eventually(lambda: before.trouble and "text.v1" in before.trouble, "it waits for another to lead")
            await eventually(lambda: _published_count(nats_url, 5), "the rest is published")
            rows = await parked_by(older, "relay")
            assert [(row.type, row.error) for row in rows] == [
                ("text.v1", "this release knows no event of type text.v1")
            ] * 4
            assert not seen
    async with background(relay(owner, nats_url).run, consumer.run):
        await eventually(lambda: len(seen) == 4, "the newer release publishes them by itself")
        assert [text for stream, text in seen if stream == mixed] == ["one", "two", "three"]
        await eventually(lambda: _none_parked(service), "nothing waits any more")
    assert await parked_by(owner, "relay") == []


async def _published_count(nats_url: str, count_: int) -> bool:
    return len(await published(nats_url)) == count_
