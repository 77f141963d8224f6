"""kill -9 of generation at random moments while a job is cancelled and resumed: it costs what it would have cost."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from infra.demo.client import ApiError, Client
from tests.support.jobs import PRICE, STEPS, history, start_job, until_ended, until_progress, until_settled
from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet, running_set

pytestmark = pytest.mark.faults

GENERATIONS = 12
ROUNDS = 4


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    with running_set(tmp_path_factory.mktemp("set") / "data") as instance:
        yield instance


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_credits_are_exact_whenever_generation_is_killed(running: RunningSet, seed: int) -> None:
    """Every step is completed once, and the holds of all rounds together captured the price of the job."""
    moments = random.Random(seed)
    user = await running.rich_user(100)
    async with running.client(user) as client:
        job_id = (await start_job(client, GENERATIONS))["job_id"]
        for _ in range(ROUNDS):
            await until_progress(client, job_id, moments.random() * 0.4)
            await _during(running, moments, _accepted(client, f"/jobs/{job_id}/cancel", "JOB_HAS_ENDED"))
            job = await until_ended(client, job_id)
            balance = await until_settled(client)
            assert balance["spent"] == job["credits"]["captured"]
            assert job["credits"]["held"] == job["credits"]["captured"] + job["credits"]["released"]
            if job["status"] == "completed":
                break
            await _during(running, moments, _accepted(client, f"/jobs/{job_id}/resume", "JOB_NOT_RESUMABLE"))
        job = await until_ended(client, job_id)
        assert job["status"] == "completed", job
        balance = await until_settled(client)
        assert balance == {"available": 100 - GENERATIONS * PRICE, "held": 0, "spent": GENERATIONS * PRICE}
    completed = [
        event["event"]["sid"]
        for event in history(running, "generation")
        if event["type"].startswith("step_completed") and event["event"]["job_id"] == job_id
    ]
    assert len(completed) == len(set(completed)) == GENERATIONS * STEPS


async def _during(running: RunningSet, moments: random.Random, request: Any) -> None:
    """The request, with a kill of generation shortly before, during or after it."""
    task = asyncio.ensure_future(request)
    await asyncio.sleep(moments.random() * 0.3)  # the moment of the kill is what varies
    running.kill("generation-1")
    await task


async def _accepted(client: Client, path: str, done: str) -> None:
    """Sends a request until it is answered; `done`: the code of an answer that shows that it was carried out before."""

    async def send() -> bool:
        try:
            await client.post(path, {})
        except ApiError as error:
            if error.status == 409 and done in str(error):
                return True
            raise NotYet(str(error)) from error
        return True

    await eventually(send, f"{path} to be answered", passing=(Exception,), every=0.2)
