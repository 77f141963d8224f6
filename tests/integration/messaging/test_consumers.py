"""Consumers handle another service's events in order per stream, in parallel across streams, at least once."""

import asyncio
from uuid import uuid4

from infra.embedded.nats_users import OWNERS, service_users
from shared.eventstore import Context, EventStore, RecordedEvent, StreamAppend
from shared.messaging import Consumer, ConsumerRunner, Relay
from tests.integration.messaging.handlers import Journal
from tests.integration.messaging.support import (
    EVENTS,
    Counted,
    Ignored,
    background,
    count,
    count_at_once,
    relay,
    remembered,
    runner,
)
from tests.support.patience import eventually
from tests.support.servers import Servers


async def test_streams_are_handled_in_order_and_in_parallel(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Whatever the handler's pace."""
    journal = Journal(pause=0.01)
    async with background(relay(owner, nats_url).run, runner(service, nats_url, journal).run):
        streams = await count_at_once(owner, streams=20, amount=15)
        await eventually(lambda: len(journal) >= 300, "all handled")
    assert journal.numbers == {stream: list(range(1, 16)) for stream in streams}
    assert journal.most_at_once > 5


async def test_only_declared_types_are_delivered(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """The server filters by type."""
    journal, stream = Journal(), uuid4()
    consumer = runner(service, nats_url, journal)
    async with background(relay(owner, nats_url).run, consumer.run):
        await owner.append(
            [StreamAppend(stream, 0, [Ignored(n=1), Counted(n=2), Ignored(n=3), Counted(n=4)])], Context(uuid4(), "x")
        )
        await eventually(lambda: len(journal) == 2, "handled")
    assert journal.numbers == {stream: [2, 4]}


async def test_the_handler_gets_the_event_as_its_owner_recorded_it(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """With the context: actor, correlation, causation, and the trace that it continues."""
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


async def test_a_consumer_may_start_before_its_owner(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """It waits for the stream."""
    journal = Journal()
    async with background(runner(service, nats_url, journal).run):
        await count(owner, uuid4(), 1)
        async with background(relay(owner, nats_url).run):
            await eventually(lambda: len(journal) == 1, "handled")


async def test_one_replica_is_active_and_another_takes_over(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """From the checkpoint of the first one."""
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
    assert (mine.numbers, other.numbers) == ({stream: [1, 2]}, {stream: [3]})


async def test_events_in_flight_are_handled_first_after_a_takeover(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """At once, and before newer ones of their stream."""
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
    assert journal.numbers == {stream: list(range(1, 11))}


async def test_the_checkpoint_stays_before_an_unsettled_event(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """While others are handled."""
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


async def test_types_of_one_stream_share_its_order(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Several types share a lane: the order of a stream holds across types."""
    types: list[str] = []

    async def handle(recorded: RecordedEvent) -> None:
        types.append(recorded.type)

    stream = uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, handle, events=EVENTS).run):
        events = [Ignored(n=1), Counted(n=2)] * 10
        await owner.append([StreamAppend(stream, 0, events)], Context(uuid4(), "x"))
        await eventually(lambda: len(types) == 20, "handled")
    assert types == ["ignored.v1", "counted.v1"] * 10


async def test_relay_and_consumer_work_with_their_users_permissions(
    owner: EventStore, service: EventStore, servers: Servers
) -> None:
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
    assert journal.numbers == {stream: [1, 2]}
