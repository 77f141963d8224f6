"""A job over a spend limit of its payer: 402 with which limit, for requests, resumes and previews."""

import json
from typing import Any
from uuid import UUID

from tests.integration.generation.previewing import opened, preview, until_left
from tests.integration.generation.test_registry import operator as operator_of
from tests.integration.generation.test_resume import failing, resume
from tests.integration.generation.working import Worker, failed, finished
from tests.support.apps.client import ALICE
from tests.support.apps.credits import OPERATOR
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import FOXES, Api, created
from tests.support.publishing import Publisher

OVER = (402, "SPEND_LIMIT_REACHED", ["/generations"])


async def limit(credits_: CreditsApi, of: UUID | None = None, **limits: Any) -> None:
    """ALICE's own limits, or those that an operator sets of a user."""
    path, user, roles = "/credits/limits", ALICE, list[str]()
    if of is not None:
        path, user, roles = f"/credits/limits/{of}", OPERATOR, ["operator"]
    headers = {"content-type": "application/json"}
    assert (await credits_.send("PUT", path, user, *roles, data=json.dumps(limits), headers=headers)).status == 200


async def test_a_job_over_a_limit_is_a_402_that_names_it(
    api: Api, collections: Publisher, credits_: CreditsApi, worker_: Worker
) -> None:
    """Nothing is held, nothing runs, and the job says why; a job within the limit runs."""
    collection = await created(collections, FOXES)
    await limit(credits_, daily=5, per_job=3)
    answer = await api.generate(collection, generations=3, key="much")
    assert answer.refusal == OVER
    assert answer.body["detail"] == (
        "The job needs 3.75 credits, and of the limit per job of 3 credits that you have set, 3 are left for it: "
        "request fewer generations, or raise the limit"
    )
    assert answer.body["title"] == "Over a spend limit"
    assert (await api.generate(collection, generations=3, key="much")).refusal == OVER
    [job] = (await api.get("/jobs")).data
    assert (job["status"], job["error"]) == ("rejected", answer.body["detail"])
    assert await credits_.balance() == (10, 0, 0)
    assert worker_.worked == []
    accepted = await api.generate(collection, generations=2)
    await api.ended(accepted.data["job_id"])
    await credits_.settled(("7.5", "0", "2.5"))


async def test_a_daily_limit_of_an_operator_says_who_can_raise_it(
    api: Api, collections: Publisher, credits_: CreditsApi, worker_: Worker
) -> None:
    await limit(credits_, daily=9)
    await limit(credits_, of=ALICE, daily="0.5")
    answer = await api.generate(await created(collections, FOXES), generations=1)
    assert answer.refusal == OVER
    assert answer.body["detail"] == (
        "The job needs 1.25 credits, and of the daily limit of 0.5 credits that an operator has set, 0.5 are left "
        "today (UTC): request fewer generations, wait until the next day, or ask an operator to raise the limit"
    )


async def test_a_resume_over_a_limit_leaves_the_job_as_it_was(
    api: Api, collections: Publisher, credits_: CreditsApi, worker_: Worker
) -> None:
    """A retry after the limit was raised is accepted."""
    worker_.behave = failing("sketch")
    job_id = (await api.generate(await created(collections, FOXES), generations=2)).data["job_id"]
    await api.ended(job_id, "failed")
    await limit(credits_, per_job=2)
    assert (await resume(api, job_id)).refusal == OVER
    await api.ended(job_id, "failed")
    await limit(credits_)
    worker_.behave = finished
    assert (await resume(api, job_id)).status == 202
    await api.ended(job_id)


async def test_a_resume_is_over_the_limit_of_its_job_with_what_earlier_rounds_have_cost(
    api: Api, collections: Publisher, credits_: CreditsApi, worker_: Worker
) -> None:
    """One of two generations has completed and cost 1.25 of the job's 2 credits."""
    broken = list[Any]()

    def behave(work: Any) -> Any:
        broken.append(work.gid)
        return failed(work, retryable=False) if work.gid == broken[0] else finished(work)

    worker_.behave = behave
    job_id = (await api.generate(await created(collections, FOXES), generations=2)).data["job_id"]
    await api.ended(job_id, "partially_completed")
    await credits_.settled(("8.75", "0", "1.25"))
    await limit(credits_, per_job=2)
    answer = await resume(api, job_id)
    assert answer.refusal == OVER
    assert "of the limit per job of 2 credits that you have set, 0.75 are left for it" in answer.body["detail"]
    await limit(credits_, per_job="2.5")
    worker_.behave = finished
    assert (await resume(api, job_id)).status == 202
    await api.ended(job_id)


async def test_a_preview_is_within_the_limits_of_its_payer(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """The visitor reads that the owner has a limit, not which; what was declined does not count."""
    collection = await opened(collections, most=100, paid_by="owner")
    await limit(rich, per_job=3)
    refused = await preview(api, collection, generations=4)
    assert refused.refusal == OVER
    assert refused.body["detail"] == (
        "The collection's owner, who pays for its previews, has a spend limit that it is over"
    )
    await until_left(api, collection, 100)
    assert (await preview(api, collection, generations=3)).status == 202


async def test_a_workflows_test_costs_nothing_and_has_no_limit(
    api: Api, collections: Publisher, credits_: CreditsApi, worker_: Worker
) -> None:
    await limit(credits_, of=ALICE, daily=0, per_job=0)
    answer = await operator_of(api, "POST", "/workflows/sketch/test", {"values": {"prompt": "a fox"}})
    assert answer.status == 202, answer.body
