"""When a collection is archived, its open jobs expire, and it takes no others until it is restored."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from services.generation.domain.job import RequestJob
from services.generation.engine.jobs.archived_collections import ArchivedCollections
from services.generation.handlers.commands import CommandHandlers
from shared.contracts.collections import CollectionArchived, CollectionRestored
from shared.contracts.generation import RequestedGeneration, generation_id
from shared.eventstore import Context
from tests.integration.generation.test_resume import failing, resume
from tests.integration.generation.working import Worker, finished
from tests.support.apps.client import ALICE
from tests.support.apps.generation import FOXES, PROJECT, Api, created, generation_service
from tests.support.patience import eventually
from tests.support.publishing import Publisher
from tests.support.tokens import TokenIssuer

REFUSED = (409, "CONFLICT")


async def archive(collections: Publisher, collection: UUID) -> None:
    await collections.publish(collection, CollectionArchived(collection))


async def is_refused(api: Api, collection: UUID) -> bool:
    return (await api.generate(collection, dry_run=True)).status == 409


async def test_an_open_job_expires_and_everything_is_released(
    api: Api, collections: Publisher, credits_: Any, worker_: Worker
) -> None:
    """New requests and resumes are refused, and possible again when the collection is restored."""
    worker_.may_work.clear()
    collection = await created(collections, FOXES)
    job_id = (await api.generate(collection)).data["job_id"]
    await archive(collections, collection)
    job = await api.ended(job_id, "expired")
    assert job["error"] == "The collection was archived"
    assert (job["credits"]["captured"], job["credits"]["released"]) == (0, Decimal("2.5"))
    await credits_.settled(("10", "0", "0"))
    assert (await api.generate(collection)).code == REFUSED
    assert (await resume(api, job_id)).code == REFUSED
    await collections.publish(collection, CollectionRestored(collection))
    worker_.may_work.set()
    await eventually(lambda: _can_resume(api, job_id), "the collection to be restored")
    await api.ended(job_id)


async def _can_resume(api: Api, job_id: str) -> bool:
    status: int = (await resume(api, job_id)).status
    return status == 202


async def test_a_job_that_waits_for_its_credits_expires(
    database: str, nats_url: str, tmp_path: Path, collections: Publisher
) -> None:
    """Credits is away, and releases the hold when it comes back; jobs of other collections go on."""
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), verdict_wait=0.1) as api:
        collection, other = await created(collections, FOXES), await created(collections, FOXES)
        job_id, kept_id = [(await api.generate(one)).data["job_id"] for one in (collection, other)]
        await archive(collections, collection)
        assert (await api.ended(job_id, "expired"))["generation_counts"]["cancelled"] == 2
        assert (await api.job(kept_id))["status"] == "pending"


async def test_a_job_that_was_requested_at_the_same_time_expires(
    api: Api, collections: Publisher, credits_: Any
) -> None:
    """Its request had read the collection before it was archived."""
    collection = await created(collections, FOXES)
    await archive(collections, collection)
    await eventually(lambda: is_refused(api, collection), "the collection to be archived")
    job_id = uuid4()
    request = RequestJob(
        job_id=job_id,
        user_id=ALICE,
        collection_id=collection,
        project_id=PROJECT,
        title="Foxes",
        data=FOXES,
        workflow_versions={"sketch": 1, "frame": 1},
        variables={},
        generations=[RequestedGeneration(generation_id(job_id, 0), "ab", 1_250_000)],
        quoted=1_250_000,
        encryption_enabled=False,
    )
    handlers = CommandHandlers(api.store, lambda: datetime.now(UTC), uuid4)
    await handlers.command_job(job_id, request, Context(command_id=uuid4(), actor="test"))
    await eventually(lambda: _is_shown(api, job_id), "the job to be shown")
    await api.ended(str(job_id), "expired")
    await credits_.settled(("10", "0", "0"))


async def test_a_test_of_a_workflow_is_about_no_collection(api: Api, credits_: Any, worker_: Worker) -> None:
    """Its `collection_id` is the workflow's id, whose stream is not a collection's; so its resume is only a resume."""
    worker_.behave = failing("sketch")
    answer = await api.send("POST", "/workflows/sketch/test", ALICE, "operator", json={"values": {"prompt": "a fox"}})
    job_id = answer.data["job_id"]
    await api.ended(job_id, "failed")
    [requested] = await api.store.read_stream(UUID(job_id), limit=1)
    archived = ArchivedCollections(
        CommandHandlers(api.store, lambda: datetime.now(UTC), uuid4), api.service.runtime.history
    )
    await archived.react(requested)
    worker_.behave = finished
    resumed = await resume(api, job_id)
    assert (resumed.status, resumed.data["quoted"]) == (202, 0)
    await api.ended(job_id)


async def _is_shown(api: Api, job_id: UUID) -> bool:
    return (await api.get(f"/jobs/{job_id}")).status == 200
