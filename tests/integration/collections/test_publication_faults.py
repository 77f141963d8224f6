"""What can't be published over HTTP, by generation's events: jobs that ended without artworks, steps that can't run."""

from typing import Any
from uuid import UUID, uuid5

import pytest

from services.collections.queries import series as series_queries
from shared.contracts.generation import (
    JobCancelled,
    JobExpired,
    JobFailed,
    JobRejected,
    JobResumed,
    JobResumeRejected,
    WorkflowRegistered,
)
from tests.integration.collections.test_metadata import run_job
from tests.integration.collections.test_series import draft, until_known
from tests.support.apps.client import ALICE, Answer
from tests.support.apps.collections import Api
from tests.support.patience import eventually
from tests.support.publishing import Publisher


async def test_a_job_that_ended_without_artworks_is_not_meant_until_it_is_resumed(
    api: Api, engine: Publisher, monkeypatch: pytest.MonkeyPatch
):
    """Named, it is refused with how it ended; it is not waited for."""
    monkeypatch.setattr(series_queries, "WAIT_SECONDS", 0.3)
    collection, path = await draft(api)
    job, _ = await api.make_artworks(collection)
    trials = [await run_job(engine, collection, [None], number, ended=False) for number in (100, 200, 300, 400)]
    for trial in trials:
        await until_known(api, trial)
    failed, cancelled, expired, rejected = trials
    await engine.publish(failed, JobFailed(failed, ALICE, "no worker"))
    await engine.publish(cancelled, JobCancelled(cancelled, ALICE, 1, 0, 1, 0))
    await engine.publish(expired, JobExpired(expired, ALICE, "it waited", 0, 1, 0, 1))
    await engine.publish(rejected, JobRejected(rejected, "INSUFFICIENT_CREDITS", "no credits"))

    async def checked() -> Any:
        answer = (await api.post(f"{path}/publish", {"dry_run": True})).data
        return answer if answer["valid"] else None

    assert (await eventually(checked, "the jobs to have ended"))["series"]["job_id"] == str(job)
    refused = await api.post(f"{path}/publish", {"job_id": str(cancelled)})
    assert refused.refusal == (400, "VALIDATION_FAILED", ["/job_id"] * 2)
    assert "ended without a finished series (cancelled)" in refused.body["details"][0]["message"]
    await engine.publish(cancelled, JobResumed(cancelled, ALICE, 1, "start", [], 1))

    async def ambiguous() -> Any:
        answer = (await api.post(f"{path}/publish", {"dry_run": True})).data
        return answer if not answer["valid"] else None

    faults = (await eventually(ambiguous, "the resumed job to be known"))["faults"]
    assert [str(cancelled) in fault["message"] for fault in faults] == [False, True, False]
    await engine.publish(
        cancelled, JobResumeRejected(cancelled, ALICE, 1, "INSUFFICIENT_CREDITS", "no credits", "cancelled", [], 1)
    )
    await eventually(checked, "the resume to be rejected")


async def test_steps_that_could_not_run_are_refused_once_workflows_are_known(api: Api, engine: Publisher):
    """The dry run says the same. A workflow that is registered in the meantime is known at once."""

    async def register(name: str, version: int, *required: str) -> None:
        form = {"fields": [{"id": field, "type": "input", "is_required": True} for field in required]}
        event = WorkflowRegistered(uuid5(UUID(int=1), name), name, version, "", {"form": form})
        await engine.publish(event.workflow_id, event)

    collection, path = await draft(api)
    job, _ = await api.make_artworks(collection)
    assert (await api.post(f"{path}/publish", {"dry_run": True})).data["valid"], "while no workflow is known"
    await register("sketch", 1, "prompt", "style")

    async def refusal() -> Answer | None:
        answer = await api.post(f"{path}/publish", {"job_id": str(job), "dry_run": True})
        return answer if answer.status == 200 and not answer.data["valid"] else None

    checked = await eventually(refusal, "the workflow to be known")
    pointers = ["/data/steps/0/nodePayload/style", "/data/steps/1/nodeName"]
    assert [fault["pointer"] for fault in checked.data["faults"]] == pointers
    refused = await api.post(f"{path}/publish", {"job_id": str(job)})
    assert refused.refusal == (400, "VALIDATION_FAILED", pointers)
    await register("frame", 1, "title")
    await register("frame", 2, "title", "border")  # the artworks were made by a version that did not require it
    await register("sketch", 2, "prompt")
    assert (await api.post(f"{path}/publish", {"job_id": str(job)})).status == 200
