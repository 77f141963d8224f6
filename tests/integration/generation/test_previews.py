"""Visitors generate another user's collection while its owner lets them: as many as they may, at the chosen cost."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.generation.domain.job import RequestJob
from services.generation.domain.preview_allowance import PreviewLimit
from services.generation.handlers.commands import CommandHandlers
from shared.contracts.collections import (
    CollectionArchived,
    CollectionPublished,
    Payer,
)
from shared.contracts.generation import (
    PREVIEW_JOB_TYPE,
    JobRequested,
    RequestedGeneration,
    allowance_id,
    generation_id,
)
from shared.contracts.problem import Problem
from shared.eventstore import Context
from tests.integration.generation.previewing import (
    CAROL,
    configure,
    ended,
    left,
    opened,
    preview,
    publish,
    resume,
    until_left,
)
from tests.integration.generation.test_cancel import cancel
from tests.integration.generation.test_registry import operator
from tests.integration.generation.test_resume import failing
from tests.integration.generation.test_workflow_types import component, registered
from tests.integration.generation.working import Worker, failed, finished
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import ONE_STEP, PROJECT, Api, created, data
from tests.support.publishing import Publisher

PRICE = Decimal(1)
"""What a generation of ONE_STEP costs."""


async def test_a_visitor_makes_previews_at_their_own_cost(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """One by default, whatever the collection's own number is; the owner's credits stay."""
    collection = await opened(
        collections, data(*ONE_STEP["steps"], variables=ONE_STEP["variables"], generations={"generations": 7})
    )
    answer = await preview(api, collection)
    assert answer.status == 202, answer.body
    job = await ended(api, answer.data["job_id"])
    assert (job["name"], job["job_type"]) == ("Collection Preview: Foxes", "collection_preview")
    assert (job["user_id"], len(job["generations"])) == (str(BOB), 1)
    await rich.settled(("9", "0", "1"), BOB)
    await rich.settled(("10", "0", "0"), ALICE)
    assert await left(api, collection) == 2


@pytest.mark.parametrize("is_remixable", [True, False])
async def test_only_visitors_who_may_see_the_steps_are_warned_about_them(
    api: Api, collections: Publisher, rich: CreditsApi, *, is_remixable: bool
) -> None:
    """In the dry run, in the answer, and in that to the same request again: a warning names a workflow."""
    await registered(api, "echo")
    assert (await operator(api, "POST", "/workflows/echo/deprecate", {"reason": "old"})).data["deprecated"] == "old"
    collection = await opened(collections, data(component("echo", document="x")), is_remixable=is_remixable)
    expected = [{"pointer": "/data/steps/0/nodeName", "message": "echo is deprecated: old"}] if is_remixable else []
    assert (await preview(api, collection, dry_run=True)).data["warnings"] == expected
    for _ in range(2):
        assert (await preview(api, collection, key="once")).data["warnings"] == expected


async def test_the_owner_pays_if_they_say_so(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """To the last micro-credit, of a job of which a part fails; the visitor's credits stay."""
    collection = await opened(collections, most=5, paid_by="owner")
    broken: list[UUID] = []

    def behave(work: Any) -> Any:
        broken.append(work.gid)
        return failed(work, retryable=False) if work.gid == broken[0] else finished(work)

    worker_.behave = behave
    answer = await preview(api, collection, generations=3)
    job = await ended(api, answer.data["job_id"], "partially_completed")
    assert job["credits"] == {"quoted": 3, "held": 3, "captured": 2, "released": 1}
    await rich.settled(("8", "0", "2"), ALICE)
    await rich.settled(("10", "0", "0"), BOB)
    entries = (await rich.get(f"/credits/entries?job_id={answer.data['job_id']}")).data
    assert [entry["kind"] for entry in entries] == ["released", "captured", "held"]
    assert (await rich.get(f"/credits/entries?job_id={answer.data['job_id']}", BOB)).data == []


@pytest.mark.parametrize("paid_by", ["owner", "visitor"])
async def test_a_payer_with_too_few_credits_declines(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker, paid_by: Payer
) -> None:
    """The visitor is not told how many the owner has; what was declined does not count."""
    collection = await opened(collections, most=100, paid_by=paid_by)
    refused = await preview(api, collection, generations=11)
    assert refused.code == (402, "INSUFFICIENT_CREDITS")
    assert ("10 are available" in refused.body["detail"]) == (paid_by == "visitor")
    await until_left(api, collection, 100)
    for user in (ALICE, BOB):
        await rich.settled(("10", "0", "0"), user)


async def test_concurrent_requests_get_no_more_than_the_limit(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """Of ten requests at once, exactly as many are accepted as the visitor may make."""
    collection = await opened(collections, most=4)
    assert await left(api, collection) == 4
    answers = await asyncio.gather(*(preview(api, collection, key=f"request {n}") for n in range(10)))
    accepted = [answer for answer in answers if answer.status == 202]
    assert len(accepted) == 4, [answer.body for answer in answers]
    refusals = [answer.refusal for answer in answers if answer.status != 202]
    assert refusals == [(403, "PREVIEW_LIMIT_REACHED", ["/generations"])] * 6
    for answer in accepted:
        await ended(api, answer.data["job_id"])
    await rich.settled(("6", "0", "4"), BOB)
    repeated = await preview(api, collection, key=next(f"request {n}" for n in range(10) if answers[n].status == 202))
    assert repeated.status == 202, "the same request again is the same job"
    await rich.give("10", CAROL)
    assert (await preview(api, collection, CAROL, generations=4)).status == 202, "each visitor has their own"


async def test_what_fails_or_is_cancelled_does_not_count(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    collection = await opened(collections, most=2)
    worker_.behave = failing("sketch")
    await ended(api, (await preview(api, collection, generations=2)).data["job_id"], "failed")
    await until_left(api, collection, 2)
    await worker_.pause()
    job_id = (await preview(api, collection, generations=2)).data["job_id"]
    assert await left(api, collection) == 0
    assert (await cancel(api, job_id)).code == (404, "NOT_FOUND"), "the owner of the collection"
    assert (await api.send("POST", f"/jobs/{job_id}/cancel", BOB, json={})).status in (200, 202)
    await until_left(api, collection, 2)
    await rich.settled(("10", "0", "0"), BOB)


async def test_a_resume_keeps_the_limit(api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker) -> None:
    """What failed of a job, and was made by another one since, is not made again."""
    collection = await opened(collections, most=2)
    worker_.behave = failing("sketch")
    job_id = (await preview(api, collection, generations=2)).data["job_id"]
    await ended(api, job_id, "failed")
    await until_left(api, collection, 2)
    worker_.behave = finished
    other_id = (await preview(api, collection)).data["job_id"]
    await ended(api, other_id)
    limit = (403, "PREVIEW_LIMIT_REACHED", ["/generations"])
    for is_dry in (True, False):
        assert (await resume(api, job_id, collection, dry_run=is_dry)).refusal == limit
    gid = (await api.get(f"/jobs/{job_id}", BOB)).data["generations"][0]["gid"]
    resumed = await resume(api, job_id, collection, generations=[gid])
    assert (resumed.status, resumed.data["quoted"]) == (202, PRICE)
    await ended(api, job_id, "partially_completed")
    assert await left(api, collection) == 0
    assert (await resume(api, job_id, collection)).refusal == limit
    await rich.settled(("8", "0", "2"), BOB)


async def test_a_resume_is_of_what_the_owner_allows_now(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """An owner who pays no longer does not pay for the resume of a preview either."""
    collection = await opened(collections, paid_by="owner")
    worker_.behave = failing("sketch")
    job_id = (await preview(api, collection)).data["job_id"]
    await ended(api, job_id, "failed")
    for terms in ({"paid_by": "visitor"}, {"paid_by": "owner", "enabled": False}):
        await configure(collections, collection, **terms)
        assert (await resume(api, job_id, collection)).code == (403, "PREVIEW_DISABLED")
    await configure(collections, collection, paid_by="owner")
    worker_.behave = finished
    assert (await resume(api, job_id, collection)).status == 202
    await ended(api, job_id)
    await rich.settled(("9", "0", "1"), ALICE)


async def test_without_a_preview_there_is_nothing_to_generate(
    api: Api, collections: Publisher, rich: CreditsApi
) -> None:
    """A collection that others can't see is not there for them; of one that they can, the preview is disabled."""
    collection = await created(collections, ONE_STEP)
    for is_dry in (True, False):
        assert (await preview(api, collection, dry_run=is_dry)).code == (404, "NOT_FOUND")
    await configure(collections, collection, enabled=False)
    assert (await preview(api, collection)).code == (404, "NOT_FOUND")
    published = CollectionPublished(collection, PROJECT, ALICE, "2026-11-27T12:00:00+00:00")
    await publish(collections, collection, published)
    assert (await preview(api, collection)).code == (403, "PREVIEW_DISABLED")
    assert (await preview(api, collection, ALICE, dry_run=True)).status == 200
    await configure(collections, collection)
    assert (await preview(api, collection, dry_run=True)).status == 200
    await publish(collections, collection, CollectionArchived(collection))
    assert (await preview(api, collection)).code == (403, "PREVIEW_DISABLED")


async def test_open_previews_go_on_when_visitors_are_shut_out(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """They were allowed when they were requested. When the collection is archived, they expire as its owner's jobs."""
    collection = await opened(collections)
    await worker_.pause()
    job_id = (await preview(api, collection)).data["job_id"]
    await configure(collections, collection, enabled=False)
    assert (await preview(api, collection)).code == (403, "PREVIEW_DISABLED")
    worker_.may_work.set()
    await ended(api, job_id)
    await configure(collections, collection)
    await worker_.pause()
    job_id = (await preview(api, collection)).data["job_id"]
    await publish(collections, collection, CollectionArchived(collection))
    await ended(api, job_id, "expired")
    await rich.settled(("9", "0", "1"), BOB)


async def test_a_preview_and_what_it_takes_are_one_append(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    collection = await opened(collections)
    job_id = (await preview(api, collection, generations=2)).data["job_id"]
    [requested] = [item for item in await api.store.read_stream(UUID(job_id)) if isinstance(item.event, JobRequested)]
    [reserved, *_] = await api.store.read_stream(allowance_id(collection, BOB))
    assert (reserved.event.job_id, reserved.event.generations) == (UUID(job_id), 2)
    assert reserved.position == requested.position + 1
    assert reserved.context.command_id == requested.context.command_id


async def test_the_limit_holds_at_several_replicas(api: Api, collections: Publisher, rich: CreditsApi) -> None:
    """Which have no lock in common: the versions of the streams decide."""
    job_ids = [uuid4() for _ in range(8)]
    replicas = [CommandHandlers(api.store, lambda: datetime.now(UTC), uuid4) for _ in job_ids]
    limit = PreviewLimit(uuid4(), BOB, 3)

    def request(job_id: UUID) -> RequestJob:
        return RequestJob(
            job_id=job_id,
            user_id=BOB,
            collection_id=limit.collection_id,
            project_id=PROJECT,
            title="Foxes",
            data=ONE_STEP,
            workflow_versions={"sketch": 1},
            variables={},
            generations=[RequestedGeneration(generation_id(job_id, 0), "ab", 1_000_000)],
            quoted=1_000_000,
            encryption_enabled=False,
            job_type=PREVIEW_JOB_TYPE,
        )

    outcomes = await asyncio.gather(
        *(
            handlers.command_preview(job_id, request(job_id), limit, Context(command_id=uuid4(), actor="test"))
            for handlers, job_id in zip(replicas, job_ids, strict=True)
        ),
        return_exceptions=True,
    )
    refused = [outcome.code for outcome in outcomes if isinstance(outcome, Problem)]
    assert refused == ["PREVIEW_LIMIT_REACHED"] * 5, outcomes
    recorded = [job_id for job_id in job_ids if await api.store.read_stream(job_id)]
    assert len(recorded) == 3, "what is refused is not recorded at all"
