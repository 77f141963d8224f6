"""What a step costs the database: reads and commits, counted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
import pytest
import pytest_asyncio

from services.generation.deciders import DECIDERS, GENERATION, JOB
from services.generation.domain.generation import Start
from services.generation.domain.job import Authorize, EndGeneration, Job, Stop
from services.generation.engine.intake.results_intake import ResultsIntake
from services.generation.engine.jobs.canceller import cancel_process
from services.generation.handlers.commands import CommandHandlers
from services.generation.handlers.job_control import JobControl
from services.generation.tables.stored_files import StoredFiles
from services.generation.workers.broker import Broker
from shared.contracts.generation import JobAuthorized, JobRequested, Output, PlannedStep, RequestedGeneration, hold_id
from shared.contracts.language import language_of
from shared.contracts.work import WorkResult
from shared.eventstore import Codec, EventStore, StreamAppend
from shared.eventstore.records import Context
from tests.support.apps.client import ALICE
from tests.support.apps.generation import data

SKETCH = {"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "foxes"}}
GENERATIONS = 64


class Counting:
    """Reads and commits of a store since the last look."""

    def __init__(self, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store, self._reads, self._batches = store, 0, store.writer.batches
        rows = store.pool.rows

        async def counted(*arguments: Any) -> Any:
            self._reads += 1
            return await rows(*arguments)

        monkeypatch.setattr(store.pool, "rows", counted)

    def since(self) -> tuple[int, int]:
        counts = self._reads, self._store.writer.batches - self._batches
        self._reads, self._batches = 0, self._store.writer.batches
        return counts


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, Codec(language_of("generation").events)) as opened:
        yield opened


def start(job_id: UUID, gid: UUID) -> Start:
    steps = [
        PlannedStep(
            uuid5(gid, str(number)), number, "sketch", 1, "direct_job", "sketch", {}, [number - 1][: number - 1]
        )
        for number in (1, 2, 3)
    ]
    return Start(gid, job_id, ALICE, uuid4(), "ab" * 32, {}, steps, 1)


async def running_job(handlers: CommandHandlers, gids: list[UUID]) -> UUID:
    job_id = uuid4()
    job = JobRequested(
        job_id=job_id,
        name="Counted",
        job_type="collection_generation",
        user_id=ALICE,
        collection_id=uuid4(),
        project_id=uuid4(),
        data=data(SKETCH),
        workflow_versions={},
        variables={},
        generations=[RequestedGeneration(gid, "ab" * 32, 1) for gid in gids],
        quoted=len(gids),
    )
    held = JobAuthorized(job_id, len(gids))
    await handlers.store.append([StreamAppend(job_id, 0, [job, held])], Context(uuid4(), "tester"))
    return job_id


async def test_a_window_of_steps_is_read_and_committed_together(
    store: EventStore, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results, starts and ends that come together share their commits, and read nothing that is in memory."""
    assert DECIDERS, "the states of these are kept"
    handlers = CommandHandlers(store, lambda: datetime.now(UTC), uuid4)
    unused: Any = None
    intake = ResultsIntake(handlers, Broker(nats_url, "unused"), StoredFiles(store, ""), unused)
    gids = [uuid4() for _ in range(GENERATIONS)]
    job_id = await running_job(handlers, gids)
    counting = Counting(store, monkeypatch)

    def context(gid: UUID) -> Context:
        return Context(uuid5(gid, "start"), "tester")

    await asyncio.gather(*(handlers.start_generation(start(job_id, gid), context(gid)) for gid in gids))
    reads, commits = counting.since()
    assert reads == 0, "streams that are new are not read"
    assert commits <= 2

    await handlers.job_specifications.get(job_id)
    counting.since()
    for number in (1, 2, 3):
        results = [
            WorkResult(job_id, gid, uuid5(gid, str(number)), 1, "completed", [Output("text", text="done")])
            for gid in gids
        ]
        await asyncio.gather(*(intake.take(msgspec.json.encode(result)) for result in results))
        reads, commits = counting.since()
        assert reads == 0, "the states of open generations are known"
        assert commits <= 2, f"for {GENERATIONS} results"

    ends = [handlers.end_generation(job_id, EndGeneration(gid, cost=1), context(gid)) for gid in gids]
    await asyncio.gather(*ends)
    reads, commits = counting.since()
    assert reads <= 2, "the job once"
    assert commits <= 2, "the first one to come alone, and all that came meanwhile"
    assert not any(store.cached(GENERATION, gid) for gid in gids), "what has ended is not kept in memory"
    job = await store.read_stream(job_id)
    assert [item.type for item in job[2:]] == ["job_generation_completed.v1"] * GENERATIONS + ["job_completed.v1"]


async def test_a_large_job_is_cancelled_and_resumed_with_few_reads(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The states of its generations are read together, and their ends share commits."""
    handlers = CommandHandlers(store, lambda: datetime.now(UTC), uuid4)
    unused: Any = None
    control, process = JobControl(handlers, unused, cancel_wait=0.0, verdict_wait=0.0), cancel_process(handlers)
    gids = [uuid4() for _ in range(GENERATIONS)]
    job_id = await running_job(handlers, gids)

    async def cancel() -> Job:
        stopped = await handlers.command_job(job_id, Stop("cancelled"), Context(uuid4(), "tester"))
        [event] = await store.read_stream(job_id, after=stopped.version - 1)
        await process.react(event)
        return (await store.load(JOB, job_id)).state

    counting = Counting(store, monkeypatch)
    assert (await cancel()).cancelled == GENERATIONS
    reads, commits = counting.since()
    assert reads <= 8, "the job and its request; streams that don't exist are not read"
    assert commits <= 4

    _, resume = await control.plan_resume(job_id, ALICE, "last_completed", None)
    reads, _ = counting.since()
    assert reads <= 4, f"of {GENERATIONS} generations"
    resumed = await handlers.command_job(job_id, resume, Context(uuid4(), "tester"))
    hold = Authorize(job_id, ALICE, resumed.state.quoted, hold_id(job_id, resumed.state.round))
    await handlers.command_job(job_id, hold, Context(uuid4(), "tester"))
    counting.since()
    job = await cancel()
    reads, commits = counting.since()
    assert (job.status, job.cancelled) == ("cancelled", GENERATIONS)
    assert reads <= 8
    assert commits <= 4


async def test_a_result_that_comes_again_is_recorded_once(store: EventStore, nats_url: str) -> None:
    """Though the state that it is decided on may be old."""
    unused: Any = None
    gid = uuid4()
    handlers = CommandHandlers(store, lambda: datetime.now(UTC), uuid4)
    job_id = await running_job(handlers, [gid])
    await handlers.start_generation(start(job_id, gid), Context(uuid4(), "tester"))
    body = msgspec.json.encode(WorkResult(job_id, gid, uuid5(gid, "1"), 1, "completed", [Output("text", text="done")]))
    async with EventStore.open(store.dsn, store.codec) as elsewhere:
        for one in (store, elsewhere, store):
            handlers = CommandHandlers(one, lambda: datetime.now(UTC), uuid4)
            intake = ResultsIntake(handlers, Broker(nats_url, "unused"), StoredFiles(one, ""), unused)
            await asyncio.gather(intake.take(body), intake.take(body))
    recorded = [item.type for item in await store.read_stream(gid)]
    assert recorded.count("step_completed.v1") == 1
