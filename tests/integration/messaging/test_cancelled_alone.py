"""A consumer of which one task was cancelled alone begins again: it does not go on without what that task did."""

import asyncio
from uuid import uuid4

import pytest

from shared.eventstore import EventStore, RecordedEvent
from shared.handling import operator_actions
from tests.integration.messaging.support import background, count, relay, remembered, runner
from tests.support.patience import eventually
from tests.support.tasks import cancel_alone


class Effects:
    """What a handler was called with, which refuses 13 until it is mended."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.refused = 13

    async def __call__(self, recorded: RecordedEvent) -> None:
        number = recorded.event.n  # type: ignore[attr-defined]  # of Counted
        if number == self.refused:
            raise ValueError("unlucky")
        self.numbers.append(number)


@pytest.mark.parametrize("task", ["ConsumerRunner._save_checkpoints", "DeliveryHandler.resume_parked"])
async def test_the_mark_is_kept_and_parked_events_are_retried(
    owner: EventStore, service: EventStore, nats_url: str, task: str
) -> None:
    """Both are tasks beside the one that follows the stream."""
    effects = Effects()
    consumer = runner(service, nats_url, effects)
    async with background(relay(owner, nats_url).run, consumer.run):
        await eventually(lambda: consumer.active, "the consumer begins")
        await count(owner, uuid4(), 1, 13)
        await eventually(lambda: parked(service), "13 to be parked")
        cancel_alone(task)
        await eventually(lambda: not consumer.active, "the consumer ends")
        await eventually(lambda: consumer.active, "it begins again")
        effects.refused = 0
        async with service.pool.connection() as connection:
            [event] = await operator_actions.list_parked(connection, "tests-v1")
            await operator_actions.retry(connection, event.id, by="olga")
        last = await count(owner, uuid4(), 2)
        await eventually(lambda: set(effects.numbers) == {1, 2, 13}, "both are handled")
        await eventually(lambda: is_at(service, last), "the mark is kept")


async def parked(service: EventStore) -> bool:
    async with service.pool.connection() as connection:
        return len(await operator_actions.list_parked(connection, "tests-v1")) == 1


async def is_at(service: EventStore, position: int) -> bool:
    return await remembered(service) == position


async def test_a_handler_that_awaits_a_cancelled_future_is_called_again(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Its stream goes on: it does not wait behind a call that will never end."""
    calls: list[int] = []

    async def handle(recorded: RecordedEvent) -> None:
        calls.append(recorded.version)
        if len(calls) == 1:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async with background(relay(owner, nats_url).run, runner(service, nats_url, handle).run):
        await count(owner, uuid4(), 1, 2)
        await eventually(lambda: calls == [1, 1, 2], "tried again, and the next one after it")
