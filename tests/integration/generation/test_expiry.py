"""Jobs that wait for too long expire."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.integration.generation.test_resume import resume
from tests.integration.generation.working import Worker
from tests.support.apps.generation import FOXES, created, generation_service
from tests.support.tokens import TokenIssuer


async def test_a_job_that_no_worker_takes_expires(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: Any, worker_: Worker
) -> None:
    """Everything is released; it can be resumed."""
    await worker_.pause()
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), max_queue_seconds=2.0) as api:
        job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
        job = await api.ended(job_id, "expired")
        assert "for more than" in job["error"]
        assert (job["credits"]["captured"], job["credits"]["released"]) == (0, Decimal("2.5"))
        await credits_.settled(("10", "0", "0"))
    async with generation_service(database, nats_url, tmp_path, TokenIssuer()) as api:
        worker_.may_work.set()
        assert (await resume(api, job_id)).status == 202
        await api.ended(job_id)


async def test_a_job_whose_hold_never_comes_expires(
    database: str, nats_url: str, tmp_path: Path, collections: Any, worker_: Worker
) -> None:
    """Without the credits service it stays pending, and then ends; nothing of it ran."""
    async with generation_service(
        database, nats_url, tmp_path, TokenIssuer(), max_queue_seconds=2.0, verdict_wait=0.1
    ) as api:
        job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
        job = await api.ended(job_id, "expired")
        assert job["generation_counts"]["cancelled"] == 2
        assert not worker_.worked


async def test_a_job_may_wait_for_as_long_as_its_request_states(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: Any, worker_: Worker
) -> None:
    """At most for as long as the operator allows; other jobs wait on."""
    worker_.may_work.clear()
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), max_queue_seconds=8.0) as api:
        collection = await created(collections, FOXES)
        refused = await api.generate(collection, max_queue_seconds=9)
        assert refused.refusal == (400, "VALIDATION_FAILED", ["/max_queue_seconds"])
        patient = (await api.generate(collection)).data["job_id"]
        job_id = (await api.generate(collection, max_queue_seconds=1)).data["job_id"]
        job = await api.ended(job_id, "expired")
        assert job["error"].endswith("for more than 1 seconds")
        assert (await api.job(patient))["error"] in (None, "The job has waited for a worker for more than 8 seconds")
