"""A consumer starts over when one of its tasks is cancelled alone: otherwise that task's work would be missing."""

import asyncio
from uuid import uuid4

import pytest

from shared.eventstore import EventStore, RecordedEvent
from shared.handling import operator_actions
from tests.integration.messaging.support import background, count, relay, remembered, runner
from tests.support.patience import eventually
from tests.support.tasks import cancel_alone


class Effects:
    """Records the numbers that it is called with, and rejects 13 until `is_mended`."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.refused = 13

    async def __call__(self, recorded: RecordedEvent) -> None:
        number = recorded.event.n  # type: ignore[attr-defined]  # of Counted
        if number == self.refused:
            raise ValueError("unlucky")
        self.numbers.append(number)


@pytest.mark.parametrize("task", ["ConsumerRunner._save_checkpoints", "DeliveryHandler.resume_parked"])
async def test_the_checkpoint_is_saved_and_parked_events_are_retried(
    owner: EventStore, service: EventStore, nats_url: str, task: str
) -> None:
    """By tasks beside the one that follows the stream."""
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
    """So its stream does not wait for a call that never ends."""
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
