"""An attempt's time begins when a worker takes it: waiting for a worker fails nothing, and runs nothing twice."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.generation.working import Worker, finished
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import FOXES, ONE_STEP, Api, created, generation_service
from tests.support.patience import eventually
from tests.support.tokens import TokenIssuer

SHORT = 1.0


@pytest.fixture
def short() -> dict[str, float]:
    return {"step_deadline": SHORT, "attempt_lost_after": SHORT, "missing_after": SHORT}


async def time_has_passed(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    await eventually(lambda: loop.time() > until, f"{seconds} s to pass", every=0.1)


async def failures(api: Api) -> list[str]:
    return [recorded.type for recorded in await api.store.read_all() if recorded.type == "step_failed.v1"]


@pytest.mark.parametrize("worker_is", ["busy", "away"])
async def test_a_long_queue_fails_nothing_and_runs_nothing_twice(
    database: str,
    nats_url: str,
    tmp_path: Path,
    collections: Any,
    credits_: CreditsApi,
    worker_: Worker,
    short: Any,
    worker_is: str,
) -> None:
    """The worker is busy with something else, or not there, for many times as long as an attempt may take."""
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), **short) as api:
        await worker_.pause()
        worker_.is_silent = worker_is == "away"
        job_id = (await api.generate(await created(collections, FOXES), generations=3)).data["job_id"]
        await eventually(lambda: _has_open_steps(api, 3), "the steps to wait")
        async with api.store.pool.connection() as connection:
            await connection.execute("update open_steps_v3 set ready_at = ready_at - interval '1 hour'")
        await time_has_passed(5 * SHORT)
        assert await failures(api) == []
        worker_.is_silent = False
        worker_.may_work.set()
        await api.ended(job_id)
        assert await failures(api) == []
        assert set(Counter((work.sid, work.attempt) for work in worker_.worked).values()) == {1}
        assert {work.attempt for work in worker_.worked} == {1}


async def test_an_attempt_that_no_worker_does_any_more_waits_for_a_free_lane(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: CreditsApi, worker_: Worker, short: Any
) -> None:
    """While all lanes are occupied, its message could not be delivered again: nothing follows from the silence."""
    settings = short | {"step_deadline": 3600.0, "missing_after": 3600.0}
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), **settings) as api:
        worker_.behave = lambda work: None if work.attempt == 1 else finished(work)
        worker_.lanes = 0
        job_id = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
        await eventually(lambda: worker_.worked, "the worker to take the step")
        await time_has_passed(8 + 4 * SHORT)
        assert await failures(api) == []
        worker_.lanes = 8
        await api.ended(job_id)
        assert [work.attempt for work in worker_.worked] == [1, 2]
        assert await failures(api) == ["step_failed.v1"]


async def test_an_attempt_that_goes_on_for_too_long_is_given_up(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: CreditsApi, worker_: Worker, short: Any
) -> None:
    """Its worker announces it still, but should have ended it itself."""
    settings = short | {"attempt_lost_after": 3600.0, "missing_after": 3600.0}
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), **settings) as api:
        may_end = asyncio.Event()

        def keep(work: Any) -> Any:
            if work.attempt == 1:
                worker_.stuck = [(work.sid, work.attempt)]
                return None
            may_end.set()
            return finished(work)

        worker_.behave = keep
        job_id = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
        await api.ended(job_id)
        assert may_end.is_set()
        assert await failures(api) == ["step_failed.v1"]


async def _has_open_steps(api: Api, count: int) -> bool:
    return await api.store.pool.rows("select count(*) from open_steps_v3", ()) == [(count,)]
