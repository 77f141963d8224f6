"""Events that a consumer can't handle are parked: their stream waits, all others continue, also after a restart."""

import asyncio
from uuid import uuid4

from shared.contracts.event import event_type
from shared.eventstore import EventStore, RecordedEvent
from shared.handling import operator_actions
from shared.messaging import RetrySettings
from tests.integration.messaging.parked import Picky, all_parked, connect, numbers, parked
from tests.integration.messaging.support import (
    Counted,
    background,
    count,
    relay,
    runner,
)
from tests.support.patience import eventually


async def test_a_poison_event_is_parked_and_only_its_stream_waits(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """After the configured attempts; later events of its stream are parked behind it."""
    picky, poisoned, healthy = Picky(2), uuid4(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, poisoned, 1, 2, 3)
        await count(owner, healthy, 1, 3, 4)
        await count(owner, poisoned, 4)
        await eventually(lambda: picky.numbers[healthy] == [1, 3, 4], "the neighbour is handled")
        rows = await eventually(lambda: all_parked(service, 3), "parked")
        lag = await consumer.lag()
    assert picky.numbers[poisoned] == [1]
    assert numbers(rows) == [("parked", "2"), ("waiting", "3"), ("waiting", "4")]
    first = rows[0]
    assert (first.attempts, first.error) == (3, 'ValueError("2 can\'t be counted")')
    assert (first.stream_id, first.type) == (poisoned, event_type(Counted))
    assert first.headers["ce-id"] == first.message_id
    assert (lag.parked, lag.waiting, lag.in_flight) == (1, 2, 0)


async def test_parked_events_are_loaded_at_the_start(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Their streams still wait; actions that were requested meanwhile are executed."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, nats_url).run):
        async with background(runner(service, nats_url, picky).run):
            await count(owner, stream, 1, 2, 3)
            await eventually(lambda: _statuses(service, "parked", "waiting"), "parked")
        async with background(runner(service, nats_url, picky).run):
            await count(owner, stream, 4)
            first, *_ = await eventually(lambda: all_parked(service, 3), "parked behind it")
        async with await connect(service) as connection:
            await operator_actions.discard(connection, first.id, by="olga", reason="not needed")
        async with background(runner(service, nats_url, picky).run):
            await eventually(lambda: picky.numbers[stream] == [1, 3, 4], "handled in order")


async def _statuses(store: EventStore, *statuses: str) -> bool:
    return [row.status for row in await parked(store)] == list(statuses)


async def test_a_handler_that_exceeds_its_timeout_has_failed(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """It is cancelled, and the event is retried and parked."""
    stopped = 0

    async def hang(recorded: RecordedEvent) -> None:
        nonlocal stopped
        try:
            await asyncio.Event().wait()
        finally:
            stopped += 1

    retries = RetrySettings(attempts=2, first_pause=0.01, longest_call=0.05)
    async with background(relay(owner, nats_url).run, runner(service, nats_url, hang, retries=retries).run):
        await count(owner, uuid4(), 1)
        [row] = await eventually(lambda: parked(service), "parked")
    assert (row.error, row.attempts, stopped) == ("HandlerTimeout('stopped after 0.05 s')", 2, 2)
