"""Resuming a job: what completed is neither repeated nor charged again."""

from decimal import Decimal
from uuid import UUID

import pytest

from shared.contracts.work import WorkMessage
from tests.integration.generation.test_cancel import cancel, in_work, only
from tests.integration.generation.working import Worker, failed, finished
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.generation import FOXES, Api, created


def failing(service: str):
    """Every step of this service fails for good."""

    def behave(work: WorkMessage):
        return failed(work, retryable=False) if work.service_required == service else finished(work)

    return behave


async def resume(api: Api, job_id: str, key: str | None = None, **body):
    headers = {"Idempotency-Key": key} if key else {}
    return await api.send("POST", f"/jobs/{job_id}/resume", json=body, headers=headers)


async def test_a_failed_job_is_resumed_after_its_last_completed_steps(api: Api, collections, credits_, worker_: Worker):
    """The sketches are kept; only the frames run, are held and charged."""
    worker_.behave = failing("frame")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    job = await api.ended(job_id, "failed")
    assert (job["credits"]["captured"], job["credits"]["released"]) == (0, Decimal("2.5"))
    worker_.behave, worked = finished, len(worker_.worked)
    plan = await resume(api, job_id, dry_run=True)
    assert (plan.status, plan.data["status"], plan.data["dry_run"]) == (200, "failed", True)
    assert (plan.data["round"], plan.data["generations"], plan.data["quoted"]) == (1, 2, Decimal("0.5"))
    answer = await resume(api, job_id, key="again")
    assert answer.status == 202, answer.body
    assert (answer.data["round"], answer.data["generations"], answer.data["quoted"]) == (1, 2, Decimal("0.5"))
    job = await api.ended(job_id)
    assert [work.service_required for work in worker_.worked[worked:]] == ["frame", "frame"]
    assert [work.attempt for work in worker_.worked[worked:]] == [2, 2]
    assert job["credits"] == {
        "quoted": Decimal(3),
        "held": Decimal(3),
        "captured": Decimal("0.5"),
        "released": Decimal("2.5"),
    }
    assert [(generation["status"], len(generation["outputs"])) for generation in job["generations"]] == [
        ("completed", 2)
    ] * 2
    assert job["generation_counts"] == {"pending": 0, "processing": 0, "completed": 2, "failed": 0, "cancelled": 0}
    await credits_.settled(("9.5", "0", "0.5"))
    assert (await resume(api, job_id, key="again")).status == 202  # the same request again: the same round
    assert (await resume(api, job_id)).body["code"] == "JOB_NOT_RESUMABLE"
    entries = (await credits_.get(f"/credits/entries?job_id={job_id}")).data
    assert [entry["kind"] for entry in entries] == ["captured", "held", "released", "held"]


async def test_a_cancelled_job_is_resumed(api: Api, collections, credits_, worker_: Worker):
    """What was charged with the cancellation is not charged again: together it is the job's price."""
    worker_.behave = only("sketch")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await in_work(worker_, 4)
    await cancel(api, job_id)
    worker_.behave = finished
    assert (await resume(api, job_id)).data["quoted"] == Decimal("0.5")
    job = await api.ended(job_id)
    assert (job["credits"]["captured"], job["credits"]["released"]) == (Decimal("2.5"), Decimal("0.5"))
    await credits_.settled(("7.5", "0", "2.5"))


async def test_an_operator_resumes_a_users_job_from_the_users_credits(api: Api, collections, credits_, worker_: Worker):
    """Another user may not; the event says who did it."""
    worker_.behave = failing("frame")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await api.ended(job_id, "failed")
    path = f"/jobs/{job_id}/resume"
    assert (await api.send("POST", path, BOB, json={})).code == (404, "NOT_FOUND")
    assert (await api.get("/jobs?all_users=true", BOB)).code == (403, "FORBIDDEN")
    listed = await api.send("GET", "/jobs?all_users=true&status=failed", BOB, "operator")
    assert [job["id"] for job in listed.body["data"]] == [job_id]
    assert listed.body["counts"] == {"failed": 1}
    assert (await api.send("GET", "/jobs", BOB, "operator")).body["data"] == []
    for part in ("", "/generations", "/history"):
        assert (await api.get(f"/jobs/{job_id}{part}", BOB)).code == (404, "NOT_FOUND")
        assert (await api.send("GET", f"/jobs/{job_id}{part}", BOB, "operator")).status == 200
    worker_.behave = finished
    answer = await api.send("POST", path, BOB, "operator", json={})
    assert (answer.status, answer.data["quoted"]) == (202, Decimal("0.5"))
    await api.ended(job_id)
    await credits_.settled(("9.5", "0", "0.5"))
    [resumed] = [one for one in await api.store.read_stream(UUID(job_id)) if one.type == "job_resumed.v1"]
    assert (resumed.event.user_id, resumed.context.actor) == (ALICE, f"user:{BOB}")


@pytest.mark.parametrize(
    ("resumed_from", "services"), [("start", ["sketch", "frame"]), (12, ["frame"]), ("12", ["frame"])]
)
async def test_a_job_is_resumed_from_a_step(api: Api, collections, credits_, worker_: Worker, resumed_from, services):
    """That step and what depends on it run, for one generation only."""
    worker_.behave = failing("frame")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    gid = (await api.ended(job_id, "failed"))["generations"][1]["gid"]
    worker_.behave, worked = finished, len(worker_.worked)
    assert (await resume(api, job_id, **{"from": resumed_from, "generations": [gid]})).status == 202
    job = await api.ended(job_id, "partially_completed")
    assert [work.service_required for work in worker_.worked[worked:]] == services
    assert {str(work.gid) for work in worker_.worked[worked:]} == {gid}
    assert [generation["status"] for generation in job["generations"]] == ["failed", "completed"]


async def test_a_resume_without_credits_is_refused(api: Api, collections, credits_, worker_: Worker):
    """402, and the job is as it was; with credits it is resumed."""
    worker_.behave = failing("sketch")
    job_id = (await api.generate(await created(collections, FOXES), generations=8)).data["job_id"]
    await api.ended(job_id, "failed")
    worker_.behave = only()
    other = (await api.generate(await created(collections, FOXES), generations=5)).data["job_id"]
    await in_work(worker_, 5)
    answer = await resume(api, job_id)
    assert (answer.status, answer.body["code"]) == (402, "INSUFFICIENT_CREDITS")
    job = await api.ended(job_id, "failed")
    assert job["generation_counts"]["failed"] == 8
    assert job["credits"]["quoted"] == Decimal(10)
    await cancel(api, other)
    worker_.behave = finished
    assert (await resume(api, job_id)).status == 202
    assert (await api.ended(job_id))["credits"]["captured"] == Decimal(10)
    await credits_.settled(("0", "0", "10"))


async def test_what_is_wrong_with_a_resume_is_said(api: Api, collections, credits_, worker_: Worker):
    """With pointers into the request."""
    worker_.behave = failing("frame")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await api.ended(job_id, "failed")
    answer = await resume(api, job_id, **{"from": "frame", "generations": [job_id]})
    assert (answer.status, [fault["pointer"] for fault in answer.body["details"]]) == (400, ["/from", "/generations/0"])
    assert (await resume(api, job_id, generations=[])).body["details"][0]["pointer"] == "/generations"
