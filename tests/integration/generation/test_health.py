"""Readiness reports jobs on which credits does not decide, and attempts without a watchdog."""

from pathlib import Path
from typing import Any

import pytest

from services.generation import health
from tests.integration.generation.working import Worker
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import FOXES, Api, created, generation_service
from tests.support.patience import eventually
from tests.support.tokens import TokenIssuer


async def readiness(api: Api) -> tuple[int, dict[str, Any]]:
    answer = await api.get("/health/ready", None)
    return answer.status, answer.body


async def waits(api: Api, name: str) -> bool:
    """Whether readiness reports it, with its id; the replica serves all the same."""
    status, body = await readiness(api)
    check = body["checks"]["engine's watch"]
    return status == 200 and check["status"] == "degraded" and name in check["detail"]


async def changed(api: Api, statement: str) -> None:
    async with api.store.pool.connection() as connection:
        await connection.execute(statement.encode())


async def test_a_job_that_waits_for_credits_for_minutes_is_told(api: Api, collections):
    """Credits is not there. What was asked for a moment ago is no trouble yet."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    _, body = await readiness(api)
    assert body["checks"]["engine's watch"]["status"] == "ok"
    await changed(api, "update jobs_v5 set created_at = created_at - interval '3 minutes'")
    await eventually(lambda: waits(api, "jobs that wait for credits: 1 waiting, for 1"), "the job to be told")
    assert await waits(api, f"on job {job_id}")


async def test_an_attempt_past_its_deadline_is_told(
    database: str,
    nats_url: str,
    tmp_path: Path,
    collections: Any,
    credits_: CreditsApi,
    worker_: Worker,
    monkeypatch: pytest.MonkeyPatch,
):
    """The watchdog would have counted it as lost, if it looked."""
    monkeypatch.setattr(health, "DEADLINE_SLACK", 1.0)
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), step_deadline=0.1) as api:
        api.service.loops["Watchdog.run"].cancel()
        worker_.behave = lambda work: worker_.stuck.append((work.sid, work.attempt))
        await api.generate(await created(collections, FOXES), generations=1)
        assert await eventually(lambda: waits(api, "attempts past their deadline: "), "the attempt to be told")
