"""A process starts over when one of its tasks is cancelled alone: otherwise that task's work would be missing."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from shared.eventstore import EventStore, RecordedEvent
from shared.eventstore.checkpoints import checkpoint
from shared.handling import operator_actions
from tests.integration.eventstore.tally import context, counted
from tests.integration.processes.reacting import NAME, Reaction, running
from tests.support.patience import eventually
from tests.support.tasks import cancel_alone


@pytest.mark.parametrize(
    "task", ["ProcessRunner._keep_checkpoint", "ProcessRunner._give_up", "DeliveryHandler.resume_parked"]
)
async def test_its_other_tasks_are_started_again(store: EventStore, task: str) -> None:
    """It saves its checkpoint, retries parked events, and gives up when it has lost a dependency."""
    reaction, poisoned, cut_off = Reaction(), uuid4(), asyncio.Event()
    reaction.fail = lambda recorded: recorded.stream_id == poisoned
    async with running(store, reaction, lost=returning(cut_off)) as process:
        await eventually(lambda: process.active, "the process begins")
        await store.append(counted(poisoned, 0, 1), context())
        await eventually(lambda: is_parked(store), "the event is parked")
        cancel_alone(task)
        await eventually(lambda: not process.active, "the process ends")
        await eventually(lambda: process.active, "it begins again")
        reaction.fail = lambda _: False
        async with store.pool.connection() as connection:
            [event] = await operator_actions.list_parked(connection, NAME)
            await operator_actions.retry(connection, event.id, by="olga")
        last = await store.append(counted(uuid4(), 0, 1), context())
        await eventually(lambda: len(reaction.events) == 2, "both are done")
        await eventually(lambda: is_at(store, last.position), "the checkpoint is kept")
        cut_off.set()
        await eventually(lambda: not process.active, "it gives up")


def returning(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def lost() -> None:
        await event.wait()

    return lost


async def is_parked(store: EventStore) -> bool:
    async with store.pool.connection() as connection:
        return len(await operator_actions.list_parked(connection, NAME)) == 1


async def is_at(store: EventStore, position: int) -> bool:
    return await checkpoint(store, NAME) == position


async def test_a_reaction_that_awaits_a_cancelled_future_is_called_again(store: EventStore) -> None:
    """So its stream does not wait for a call that never ends."""
    calls: list[int] = []

    async def react(recorded: RecordedEvent) -> None:
        calls.append(recorded.version)
        if len(calls) == 1:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    stream = uuid4()
    async with running(store, react):
        await store.append(counted(stream, 0, 1, 2), context())
        await eventually(lambda: calls == [1, 1, 2], "tried again, and the next one after it")
