"""What a consumer can't handle is parked: its stream waits, all others flow, and a restart changes nothing."""

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
    """It was tried as often as it should be; what follows in its stream is parked behind it; neighbours flow."""
    picky, sick, well = Picky(2), uuid4(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, sick, 1, 2, 3)
        await count(owner, well, 1, 3, 4)
        await count(owner, sick, 4)
        await eventually(lambda: picky.seen[well] == [1, 3, 4], "the neighbour is handled")
        rows = await eventually(lambda: all_parked(service, 3), "parked")
        lag = await consumer.lag()
    assert picky.seen[sick] == [1]
    assert numbers(rows) == [("parked", "2"), ("waiting", "3"), ("waiting", "4")]
    first = rows[0]
    assert (first.attempts, first.error) == (3, 'ValueError("2 can\'t be counted")')
    assert (first.stream_id, first.type) == (sick, event_type(Counted))
    assert first.headers["ce-id"] == first.message_id
    assert (lag.parked, lag.waiting, lag.in_flight) == (1, 2, 0)


async def test_a_consumer_that_restarts_knows_what_is_parked(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Its stream still waits; what was asked for while no consumer ran is done at its start."""
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
            await eventually(lambda: picky.seen[stream] == [1, 3, 4], "handled in order")


async def _statuses(store: EventStore, *statuses: str) -> bool:
    return [row.status for row in await parked(store)] == list(statuses)


async def test_a_handler_that_takes_too_long_has_failed(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """It is stopped, tried as often as any, and parked: it does not hold its place for ever."""
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
