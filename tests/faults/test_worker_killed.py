"""A worker is killed in the middle of a step, fifty times: every job completes, each step once, and is paid exactly."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.integration.generation.conftest import collections, credits_, issuer
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import ONE_STEP, Api, created, generation_service
from tests.support.patience import eventually
from tests.support.preloaded import Preloaded
from tests.support.tokens import TokenIssuer

__all__ = ["collections", "credits_", "issuer"]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

DEATHS = 50
JOBS, GENERATIONS = 4, 10


@contextlib.asynccontextmanager
async def mortal_worker(nats_url: str) -> AsyncIterator[Preloaded]:
    environment = {"NATS_URL": nats_url, "WORKER_ACK_WAIT": "0.5", "WORKER_CONCURRENCY": "2"}
    process = await asyncio.to_thread(Preloaded, "tests.faults.mortal_worker", environment=environment)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.kill)


async def begun_step(process: Preloaded) -> UUID:
    """The first step that the worker begins."""

    def first() -> UUID | None:
        assert process.poll() is None, "the worker ended by itself"
        for line in process.output.splitlines(keepends=True):
            with contextlib.suppress(ValueError):  # its log, or half a line
                return UUID(line.removesuffix("\n")) if line.endswith("\n") else None
        return None

    return await eventually(first, "the worker to begin a step")


async def test_each_step_is_done_once_however_often_its_worker_dies(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: CreditsApi, issuer: TokenIssuer
) -> None:
    await credits_.give("1000")
    async with generation_service(database, nats_url, tmp_path, issuer) as api:
        collection = await created(collections, ONE_STEP)
        jobs: list[str] = []
        killed: list[UUID] = []
        while len(killed) < DEATHS:
            if not await unfinished(api):
                jobs += [await start(api, collection) for _ in range(JOBS)]
            async with mortal_worker(nats_url) as process:
                killed.append(await begun_step(process))  # the end of the block kills it
        async with mortal_worker(nats_url):
            for job_id in jobs:
                job = await api.ended(job_id)
                assert job["credits"]["captured"] == GENERATIONS
        events = await api.store.read_all(0, 100_000)
        completed = Counter(recorded.event.sid for recorded in events if recorded.type == "step_completed.v1")  # type: ignore[attr-defined]  # of StepCompleted
        assert set(completed.values()) == {1}
        assert len(completed) == len(jobs) * GENERATIONS
        assert [recorded for recorded in events if recorded.type == "step_failed.v1"] == []
        spent = len(jobs) * GENERATIONS
        await credits_.settled((str(1010 - spent), "0", str(spent)))


async def start(api: Api, collection: UUID) -> str:
    job_id: str = (await api.generate(collection, generations=GENERATIONS)).data["job_id"]
    return job_id


async def unfinished(api: Api) -> bool:
    counts = (await api.get("/jobs")).body["counts"]
    return bool(counts.get("pending", 0) + counts.get("processing", 0))
