"""Work that waits for what does not come is told: jobs that credits leaves alone, attempts that nobody looks after."""

from typing import Any

from services.generation.health import DEADLINE_SLACK
from tests.integration.generation.working import Worker
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import FOXES, Api, created
from tests.support.patience import eventually

STEP_DEADLINE = 3600
"""Seconds, as the service has it unless it is told otherwise."""


async def health(api: Api) -> tuple[int, dict[str, Any]]:
    answer = await api.get("/health/ready", None)
    return answer.status, answer.body


async def waits(api: Api, name: str) -> bool:
    """Whether it is told, with what finds it; the replica serves all the same."""
    status, body = await health(api)
    told = body["checks"]["engine's watch"]
    return status == 200 and told["status"] == "degraded" and name in told["detail"]


async def changed(api: Api, statement: str) -> None:
    async with api.store.pool.connection() as connection:
        await connection.execute(statement.encode())


async def test_a_job_that_waits_for_credits_for_minutes_is_told(api: Api, collections):
    """Credits is not there. What was asked for a moment ago is no trouble yet."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    _, body = await health(api)
    assert body["checks"]["engine's watch"]["status"] == "ok"
    await changed(api, "update jobs_v2 set created_at = created_at - interval '3 minutes'")
    await eventually(lambda: waits(api, "jobs that wait for credits: 1 waiting, for 1"), "the job to be told")
    assert await waits(api, f"on job {job_id}")


async def test_an_attempt_past_its_deadline_is_told(api: Api, collections, credits_: CreditsApi, worker_: Worker):
    """The watchdog would have counted it as lost long ago, if it looked."""
    worker_.may_work.clear()
    api.service.loops["Watchdog.run"].cancel()
    await api.generate(await created(collections, FOXES), generations=1)
    statement = (
        f"update open_steps_v1 set ready_at = ready_at - interval '{STEP_DEADLINE + DEADLINE_SLACK + 30} seconds'"
    )
    await eventually(lambda: _has_steps(api), "a step to be sent")
    await changed(api, statement)
    assert await eventually(lambda: waits(api, "attempts past their deadline: "), "the attempt to be told")
    worker_.may_work.set()


async def _has_steps(api: Api) -> bool:
    [(count,)] = await api.store.pool.rows("select count(*) from open_steps_v1", ())
    return bool(count)
