"""Consumers take another service's events in order per stream, parallel across streams, until the effect is there."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable
from uuid import UUID, uuid4

import nats.errors
import nats.js.errors

from infra.embedded.nats_users import OWNERS, service_users
from shared.contracts.problem import Problem
from shared.eventstore import Context, EventStore, RecordedEvent, StoreUnavailable, StreamAppend
from shared.messaging import Consumer, ConsumerRunner, Relay, connected
from shared.messaging.subscription import ordered_name
from tests.integration.messaging.support import (
    COUNTER,
    EVENTS,
    STREAM,
    Broker,
    Counted,
    Ignored,
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
from tests.support.servers import Servers


class Journal:
    """A handler that remembers what it was called with, and how many calls there were at once."""

    def __init__(self, *, pause: float = 0.0) -> None:
        self.seen: defaultdict[UUID, list[int]] = defaultdict(list)
        self.events: list[RecordedEvent] = []
        self.at_once = self.most_at_once = 0
        self._pause = pause

    async def __call__(self, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Counted)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(random.random() * self._pause)
        self.at_once -= 1
        self.seen[recorded.stream_id].append(recorded.event.n)
        self.events.append(recorded)

    def __len__(self) -> int:
        return len(self.events)


class Effects:
    """A handler with an effect in its own service's store, as real ones have: a command with the event's own id."""

    def __init__(self, store: EventStore, name: str = "tests-v1") -> None:
        self.store, self.name = store, name
        self.calls = 0

    async def __call__(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        context = recorded.context.caused(recorded.event_id, self.name)
        await self.store.handle(COUNTER, recorded.stream_id, lambda _: [event], context)
        self.calls += 1

    async def recorded(self) -> dict[UUID, list[int]]:
        found: defaultdict[UUID, list[int]] = defaultdict(list)
        for each in await self.store.read_all(0, 100_000):
            assert isinstance(each.event, Counted)
            found[each.stream_id].append(each.event.n)
        return dict(found)


async def test_order_per_stream_and_parallel_across(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Whatever the handler's pace, a stream's events come one after another; different streams' come together."""
    journal = Journal(pause=0.01)
    async with background(relay(owner, nats_url).run, runner(service, nats_url, journal).run):
        streams = await count_at_once(owner, streams=20, each=15)
        await eventually(lambda: len(journal) >= 300, "all handled")
    assert journal.seen == {stream: list(range(1, 16)) for stream in streams}
    assert journal.most_at_once > 5


async def test_only_the_events_asked_for_are_delivered(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """The server filters by type: what a consumer does not name costs it nothing."""
    journal, stream = Journal(), uuid4()
    consumer = runner(service, nats_url, journal)
    async with background(relay(owner, nats_url).run, consumer.run):
        await owner.append(
            [StreamAppend(stream, 0, [Ignored(n=1), Counted(n=2), Ignored(n=3), Counted(n=4)])], Context(uuid4(), "x")
        )
        await eventually(lambda: len(journal) == 2, "handled")
    assert journal.seen == {stream: [2, 4]}


async def test_the_handler_gets_the_event_as_its_owner_recorded_it(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """With its context: who commanded it, what belongs together, and the trace that it continues."""
    journal, stream = Journal(), uuid4()
    context = Context(uuid4(), "user:Jörg", uuid4(), uuid4(), f"00-{'a' * 32}-{'b' * 16}-01")
    async with background(relay(owner, nats_url).run, runner(service, nats_url, journal).run):
        await owner.append([StreamAppend(stream, 0, [Counted(n=1)])], context)
        await eventually(lambda: journal.events, "handled")
    [got], [recorded] = journal.events, await owner.read_all()
    for name in ("position", "event_id", "stream_id", "version", "type", "event", "data", "recorded_at"):
        assert getattr(got, name) == getattr(recorded, name), name
    assert got.context.traceparent is not None
    assert got.context.traceparent.split("-")[1] == "a" * 32, "the same trace"
    assert got.context.traceparent.split("-")[2] != "b" * 16, "a span of its own"
    assert (got.context.actor, got.context.command_id) == (context.actor, context.command_id)
    caused = got.context.caused(got.event_id, "tests-v1")
    assert (caused.correlation_id, caused.causation_id) == (context.correlation_id, recorded.event_id)


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


async def test_a_consumer_may_start_before_its_owner(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """There is no stream yet: it waits for one."""
    journal = Journal()
    async with background(runner(service, nats_url, journal).run):
        await count(owner, uuid4(), 1)
        async with background(relay(owner, nats_url).run):
            await eventually(lambda: len(journal) == 1, "handled")


async def test_one_replica_is_active_and_another_takes_over(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Two replicas of a consumer: one works; the other goes on where it stopped."""
    mine, other = Journal(), Journal()
    first, second = runner(service, nats_url, mine), runner(service, nats_url, other)
    stream = uuid4()
    async with background(relay(owner, nats_url).run):
        async with background(first.run):
            await eventually(lambda: first.active, "the first one is active")
            async with background(second.run):
                await count(owner, stream, 1, 2)
                await eventually(lambda: len(mine) == 2, "handled")
                assert not second.active
        async with background(second.run):
            await count(owner, stream, 3)
            await eventually(lambda: len(other) == 1, "taken over")
    assert (mine.seen, other.seen) == ({stream: [1, 2]}, {stream: [3]})


async def test_what_is_in_flight_when_a_replica_stops_comes_first(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """A replica is stopped while it holds events: the next one gets them at once, before newer ones of their stream."""
    held, journal, stream = asyncio.Event(), Journal(), uuid4()

    async def hold(recorded: RecordedEvent) -> None:
        held.set()
        await asyncio.Event().wait()

    async with background(relay(owner, nats_url).run):
        async with background(runner(service, nats_url, hold).run):
            await count(owner, stream, *range(1, 6))
            await held.wait()
        await count(owner, stream, *range(6, 11))
        async with background(runner(service, nats_url, journal).run):
            await eventually(lambda: len(journal) >= 10, "all handled")
    assert journal.seen == {stream: list(range(1, 11))}


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
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
                stolen = await thief.jetstream().pull_subscribe_bind(ordered_name("tests-v1"), stream=STREAM)
                await stolen.fetch(5, timeout=0.5)

        for round_ in range(5):
            numbers = range(2 + round_ * 20, 22 + round_ * 20)
            await asyncio.gather(steal(), count(owner, stream, *numbers))
        await eventually(lambda: len(journal) >= 101, "all handled")
    assert journal.seen == {stream: list(range(1, 102))}
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


async def test_nothing_is_settled_while_something_before_it_is_not(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """One event hangs while others pass: what is remembered stays before it."""
    release, journal, slow = asyncio.Event(), Journal(), uuid4()

    async def handle(recorded: RecordedEvent) -> None:
        if recorded.stream_id == slow:
            await release.wait()
        await journal(recorded)

    async with background(relay(owner, nats_url).run, runner(service, nats_url, handle).run):
        before = await count(owner, uuid4(), 1)
        await count(owner, slow, 1)
        last = await count(owner, uuid4(), 1, 2, 3)
        await eventually(lambda: len(journal) == 4, "the others are handled")

        async def at(position: int) -> bool:
            return await remembered(service) == position

        await eventually(lambda: at(before), "settled up to before it")
        release.set()
        await eventually(lambda: at(last), "settled")


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


async def test_every_event_of_a_contract_may_be_consumed(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Several types share a lane: the order of a stream holds across types."""
    seen: list[str] = []

    async def handle(recorded: RecordedEvent) -> None:
        seen.append(recorded.type)

    stream = uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, handle, events=EVENTS).run):
        events = [Ignored(n=1), Counted(n=2)] * 10
        await owner.append([StreamAppend(stream, 0, events)], Context(uuid4(), "x"))
        await eventually(lambda: len(seen) == 20, "handled")
    assert seen == ["ignored.v1", "counted.v1"] * 10


async def test_services_need_no_more_than_their_own_permissions(
    owner: EventStore, service: EventStore, servers: Servers
) -> None:
    """With the set's own users: the owner's relay and another service's consumer do their work."""
    journal, stream = Journal(), uuid4()
    passwords = dict.fromkeys(("operator", *OWNERS, "worker"), "secret")
    with servers.start_nats(service_users(passwords)) as nats:
        publisher = Relay(owner, "credits", nats.url("credits"))
        consumer = ConsumerRunner(
            service, Consumer("generation-holds-v1", "credits", (Counted,), journal), nats.url("generation")
        )
        async with background(consumer.run, publisher.run):
            await count(owner, stream, 1, 2)
            await eventually(lambda: len(journal) == 2, "handled")
    assert journal.seen == {stream: [1, 2]}
