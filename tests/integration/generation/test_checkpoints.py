"""A worker's checkpoint is recorded, and every later attempt's message carries the newest one."""

from typing import Any

import msgspec
import pytest_asyncio

from shared.contracts.generation import StepCheckpointed
from shared.contracts.work import Checkpoint, CheckpointAnswer, CheckpointQuery, WorkMessage, checkpoint_subject
from shared.messaging import connected
from tests.integration.generation.working import Worker, failed, finished
from tests.support.apps.generation import ONE_STEP, Api, created
from tests.support.patience import PATIENCE, eventually

KIND = "direct_job.sketch"


async def store(worker: Worker, work: WorkMessage, number: int, **checkpoint: Any) -> None:
    message = Checkpoint(work.job_id, work.gid, work.sid, work.attempt, number, checkpoint)
    await worker.js.publish(message.subject(KIND), msgspec.json.encode(message))


@pytest_asyncio.fixture
async def nats_client(nats_url: str):
    async with connected(nats_url, "test") as client:
        yield client


async def first_of(worker: Worker) -> WorkMessage:
    async def work() -> list[WorkMessage]:
        return worker.worked

    return (await eventually(work, "work to be sent"))[0]


async def test_the_next_attempt_gets_the_newest_checkpoint(api: Api, collections, credits_, worker_: Worker):
    """Also where the failure comes right behind it."""

    class Storing(Worker):
        async def answer(self, result, message_id=None):
            work = self.worked[-1]
            if result.status == "failed":
                await store(self, work, 1, task="first")
                await store(self, work, 2, task="second")
            await super().answer(result, message_id)

    worker_.__class__ = Storing
    worker_.behave = lambda work: failed(work, retryable=True) if work.attempt == 1 else finished(work)
    await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])
    first, second = worker_.worked
    assert (first.checkpoint, first.checkpoint_number) == (None, 0)
    assert (second.attempt, second.checkpoint, second.checkpoint_number) == (2, {"task": "second"}, 2)
    recorded = [event.event for event in await api.store.read_stream(first.gid)]
    stored = [event for event in recorded if isinstance(event, StepCheckpointed)]
    assert stored[-1].checkpoint == {"task": "second"}


async def test_a_worker_that_asks_is_answered_with_what_the_broker_has_taken(
    api: Api, collections, credits_, worker_: Worker, nats_client
):
    """The one that died has published it a moment ago."""
    worker_.behave = lambda _: None
    await api.generate(await created(collections, ONE_STEP))
    work = await first_of(worker_)

    async def ask() -> CheckpointAnswer:
        query = CheckpointQuery(work.job_id, work.gid, work.sid)
        answer = await nats_client.request(checkpoint_subject(KIND), msgspec.json.encode(query), timeout=PATIENCE)
        return msgspec.json.decode(answer.data, type=CheckpointAnswer)

    assert await ask() == CheckpointAnswer(is_current=True)
    for number in range(1, 30):
        await store(worker_, work, number, task=number)
        assert await ask() == CheckpointAnswer(True, number, {"task": number})
