"""Operators pause jobs and workflows: what workers have goes on, no other step runs, and nothing expires meanwhile."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.integration.generation.working import Worker
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.generation import FOXES, ONE_STEP, Api, created, generation_service
from tests.support.patience import eventually
from tests.support.tokens import TokenIssuer

MOST_SENT = 13
"""Of a kind, to a worker that does 8 at once: 12, and one that may end in the moment of the pause."""


async def operator(api: Api, path: str, **body: Any) -> Any:
    return await api.send("POST", path, ALICE, "operator", json=body)


async def waits_for(api: Api, job_id: str) -> Any:
    return (await api.job(job_id))["waiting_for"]


def services(worker_: Worker, job_id: str) -> list[str]:
    """What workers have had of a job."""
    return [work.service_required for work in worker_.worked if work.job_id == UUID(job_id)]


async def test_a_job_is_paused_and_continued(api: Api, collections: Any, credits_: Any, worker_: Worker) -> None:
    """Steps that are open, and not sent yet, wait too; other jobs run. Its user may not do it."""
    await credits_.give("100")
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES), generations=70)).data["job_id"]
    await eventually(lambda: _started(api, job_id, 64), "a window of generations to start")
    assert (await api.send("POST", f"/jobs/{job_id}/pause", json={})).status == 403
    answer = await operator(api, f"/jobs/{job_id}/pause", reason="maintenance")
    assert (answer.status, answer.data["is_paused"]) == (200, True)
    worker_.may_work.set()
    for _ in range(2):
        await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])
    await eventually(lambda: _waits(api, job_id, "paused"), "what was sent to be done")
    assert set(services(worker_, job_id)) == {"sketch"}
    assert len(services(worker_, job_id)) <= MOST_SENT
    assert (await api.job(job_id))["generation_counts"]["completed"] == 0
    assert (await operator(api, f"/jobs/{job_id}/unpause")).data["is_paused"] is False
    assert (await api.ended(job_id))["generation_counts"]["completed"] == 70


@pytest.mark.usefixtures("credits_")
async def test_a_paused_job_is_cancelled_and_resumed(api: Api, collections: Any, worker_: Worker) -> None:
    """A job that is resumed is paused no more."""
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await operator(api, f"/jobs/{job_id}/pause")
    assert (await operator(api, f"/jobs/{job_id}/cancel")).data["status"] == "cancelled"
    worker_.may_work.set()
    assert (await api.send("POST", f"/jobs/{job_id}/resume", json={})).status == 202
    assert (await api.ended(job_id))["is_paused"] is False


@pytest.mark.usefixtures("credits_")
async def test_a_workflow_is_paused_and_continued(api: Api, collections: Any, worker_: Worker) -> None:
    """Other steps of a job run, and other jobs; a new version is paused too."""
    assert (await api.send("POST", "/workflows/frame/pause", json={})).status == 403
    assert (await operator(api, "/workflows/nobody/pause")).code == (404, "WORKFLOW_NOT_FOUND")
    answer = await operator(api, "/workflows/frame/pause", reason="its API is down")
    assert (answer.status, answer.data["name"], answer.data["is_paused"]) == (200, "frame", True)
    assert (await operator(api, "/workflows/frame/pause", reason="again")).data["is_paused"] is True
    workflow = (await api.get("/workflows/frame")).data
    assert (workflow["is_paused"], workflow["pause_reason"]) == (True, "its API is down")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await eventually(lambda: _waits(api, job_id, "paused"), "its frames to wait")
    assert (await waits_for(api, job_id))["workflows"] == ["frame"]
    await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])
    assert services(worker_, job_id) == ["sketch", "sketch"]
    assert (await operator(api, "/workflows/frame/unpause")).data["is_paused"] is False
    assert (await api.ended(job_id))["generation_counts"]["completed"] == 2
    assert (await api.get("/workflows/frame")).data["is_paused"] is False


async def test_a_pause_outlasts_a_restart_and_jobs_do_not_expire_in_it(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: Any, worker_: Worker
) -> None:
    """The next leader reads it, though its events were handled. Another user's job, which no worker takes, expires."""
    await credits_.give("10", BOB)
    issuer = TokenIssuer()
    async with generation_service(database, nats_url, tmp_path, issuer) as api:
        await operator(api, "/workflows/frame/pause")
        job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
        await eventually(lambda: _waits(api, job_id, "paused"), "its frames to wait")
    await worker_.pause()
    async with generation_service(database, nats_url, tmp_path, issuer, max_queue_seconds=2.0) as api:
        behind = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
        other = (await api.generate(await created(collections, ONE_STEP, BOB), BOB)).data["job_id"]
        await eventually(lambda: _has_expired(api, other, BOB), "the other user's job to expire")
        job = await api.job(job_id)
        assert (job["status"], job["waiting_for"]["workflows"]) == ("processing", ["frame"])
        assert (await api.job(behind))["status"] == "processing", "it may wait for a share that the paused ones take"
        assert "frame" not in services(worker_, job_id)
        worker_.may_work.set()
        await operator(api, "/workflows/frame/unpause")
        await api.ended(job_id)
        await api.ended(behind)


async def _started(api: Api, job_id: str, count: int) -> bool:
    return bool((await api.job(job_id))["generation_counts"]["processing"] == count)


async def _waits(api: Api, job_id: str, reason: str) -> bool:
    wait = await waits_for(api, job_id)
    return wait is not None and wait["reason"] == reason


async def _has_expired(api: Api, job_id: str, user: UUID) -> bool:
    return bool((await api.get(f"/jobs/{job_id}", user)).data["status"] == "expired")
