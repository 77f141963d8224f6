"""What generation keeps in memory is bounded in bytes: jobs' facts, batches of starts, results, a dry run's answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio

from services.generation.domain.generation import Start
from services.generation.engine.intake import results_intake
from services.generation.engine.intake.results_intake import ResultsIntake
from services.generation.handlers.job_requests import MAX_SAMPLE_BYTES
from services.generation.processes.start_generations import MAX_BATCH, MAX_BATCH_BYTES, next_batch
from services.generation.queries import job_specification
from services.generation.queries.job_specification import JobSpecifications
from services.generation.queries.workflow_definition import WorkflowDefinitions
from services.generation.workers.broker import Broker, ensure_work_streams
from shared.contracts.generation import JobRequested, RequestedGeneration
from shared.contracts.language import language_of
from shared.contracts.sizes import encoded_size
from shared.eventstore import Codec, EventStore, StreamAppend
from shared.eventstore.records import Context
from shared.messaging import connected
from shared.stopping import stop
from tests.support.apps.client import ALICE
from tests.support.apps.generation import Api, created, data
from tests.support.patience import PATIENCE, eventually

LARGE = 400_000
MOST = 1_000_000
STEP = {"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "foxes"}}


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, Codec(language_of("generation").events)) as opened:
        yield opened


async def requested(store: EventStore, size: int) -> UUID:
    job_id = uuid4()
    job = JobRequested(
        job_id=job_id,
        name="Large",
        job_type="collection_generation",
        user_id=ALICE,
        collection_id=uuid4(),
        project_id=uuid4(),
        data=data(STEP, variables=[{"name": "unused", "type": "text", "value": "x" * size}]),
        workflow_versions={},
        variables={},
        generations=[RequestedGeneration(uuid4(), "ab" * 32, 1)],
        quoted=1,
    )
    await store.append([StreamAppend(job_id, 0, [job])], Context(uuid4(), "tester"))
    return job_id


class Readings:
    """Counts the jobs that are read from the store."""

    def __init__(self, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read_stream = store.read_stream

        async def counted(*arguments: Any, **more: Any) -> Any:
            self.count += 1
            return await read_stream(*arguments, **more)

        monkeypatch.setattr(store, "read_stream", counted)


async def test_facts_of_jobs_are_remembered_up_to_so_many_bytes(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that were used last; small ones are all remembered."""
    monkeypatch.setattr(job_specification, "MAX_CACHED_BYTES", MOST)
    specifications, readings = JobSpecifications(store, WorkflowDefinitions(store)), Readings(store, monkeypatch)
    large = [await requested(store, LARGE) for _ in range(4)]
    for job_id in large:
        assert await specifications.get(job_id) is not None
    assert readings.count == 4
    for job_id in large[2:]:
        await specifications.get(job_id)
    assert readings.count == 4, "two of them fit"
    await specifications.get(large[0])
    assert readings.count == 5, "four do not"
    small = [await requested(store, 10) for _ in range(10)]
    for job_id in 2 * small:
        await specifications.get(job_id)
    assert readings.count == 15


@pytest.mark.parametrize(("size", "at_once"), [(LARGE, 11), (10, MAX_BATCH)])
def test_starts_are_recorded_in_batches_of_so_many_bytes(size: int, at_once: int) -> None:
    """But for the one with which the bound is reached."""
    one = Start(uuid4(), uuid4(), ALICE, uuid4(), "ab" * 32, {"v": "x" * size}, [], 1)
    remaining = iter([one] * 250)
    batches = list(iter(lambda: next_batch(remaining), []))
    assert sum(map(len, batches)) == 250
    assert len(batches[0]) == at_once
    assert all(sum(map(encoded_size, batch)) <= MAX_BATCH_BYTES + encoded_size(one) for batch in batches)


class SlowIntake(ResultsIntake):
    """Takes one result when the test allows it; records the largest number of bytes in memory."""

    in_hand = most = done = 0
    may: asyncio.Semaphore

    async def take(self, body: bytes, deliveries: int = 1) -> None:
        self.in_hand += len(body)
        self.most = max(self.most, self.in_hand)
        try:
            await self.may.acquire()
        finally:
            self.in_hand -= len(body)
        self.done += 1


async def test_results_are_taken_in_up_to_so_many_bytes(
    store: EventStore, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More stays in the queue."""
    monkeypatch.setattr(results_intake, "MAX_CONCURRENT_BYTES", MOST)
    handlers: Any = msgspec.defstruct("OnlyAStore", [("store", Any)])(store)
    unused: Any = None
    intake = SlowIntake(handlers, Broker(nats_url, "unused"), unused, unused)
    intake.may = asyncio.Semaphore(0)
    running = asyncio.create_task(intake.run())
    try:
        async with connected(nats_url, "bounds", asyncio.Event(), within=PATIENCE) as client:
            js = client.jetstream()
            await ensure_work_streams(client)
            for number in range(20):
                await js.publish(f"results.{number}", b"x" * LARGE)
            await eventually(lambda: intake.in_hand >= 2 * LARGE, "as many in hand as there is room for")
            for done in range(1, 21):
                intake.may.release()
                await eventually(lambda done=done: intake.done >= done, "one more to be taken in")  # type: ignore[misc]  # mypy infers no type of a default argument of a lambda
    finally:
        await stop(running)
    assert intake.most <= MOST


async def test_a_dry_run_shows_samples_up_to_so_many_bytes(api: Api, collections: Any) -> None:
    """Of 10,000 generations that would draw gigabytes; `total` says how many there are."""
    unused = {"name": "unused", "type": "text", "value": "x" * 100_000}
    collection = await created(collections, data(STEP, variables=[unused]))
    answer = await api.generate(collection, dry_run=True, generations=10_000)
    assert (answer.status, answer.data["total"], len(answer.data["generations"])) == (200, 10_000, 2)
    assert len(answer.text) <= MAX_SAMPLE_BYTES + 1000
    small = await created(collections, data(STEP, variables=[unused | {"value": "x" * 1000}]))
    answer = await api.generate(small, dry_run=True, generations=10_000)
    assert (answer.data["total"], len(answer.data["generations"])) == (10_000, 20)
    assert len(answer.text) <= MAX_SAMPLE_BYTES
