"""A large job leaves room for the jobs of others: bounds on what is open, and on what is done before theirs."""

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from nats.js.errors import NotFoundError

from services.generation.domain.turns import queue_length
from services.generation.engine.jobs import followers, starter
from services.generation.projections.open_steps import OPEN_STEPS
from shared.contracts.generation import JobRequested, RequestedGeneration
from shared.contracts.work import WORK_STREAM
from shared.eventstore import StreamAppend
from shared.eventstore.records import Context
from tests.integration.generation.working import Worker
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import ONE_STEP, Api, created, generation_service
from tests.support.patience import PATIENCE, eventually
from tests.support.tokens import TokenIssuer

WINDOW = 4


@pytest.fixture
def narrow() -> dict[str, int]:
    return {"job_window": WINDOW}


async def most_open(api: Api, job_id: str) -> int:
    """How many generations of a job were started and had not ended, at the most, according to history."""
    most = is_open = 0
    for recorded in await api.store.read_all(0, 100_000):
        if str(getattr(recorded.event, "job_id", "")) != job_id:
            continue
        is_open += recorded.type == "generation_started.v1"
        is_open -= recorded.type in {"job_generation_completed.v1", "job_generation_failed.v1"}
        most = max(most, is_open)
    return most


async def queued(worker: Worker) -> int:
    try:
        return int((await worker.js.stream_info(WORK_STREAM)).state.messages)
    except NotFoundError:
        return 0


async def test_so_many_generations_of_a_job_are_open(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: CreditsApi, worker_: Worker, narrow: Any
) -> None:
    """All are made nevertheless, each once, in the order in which they were requested."""
    await credits_.give("100")
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), **narrow) as api:
        job_id = (await api.generate(await created(collections, ONE_STEP), generations=20)).data["job_id"]
        await api.ended(job_id)
        assert await most_open(api, job_id) == WINDOW
        started = [item.stream_id for item in await api.store.read_all(0, 1000) if "generation_started" in item.type]
        facts = await api.service.runtime.store.read_stream(UUID(job_id), limit=1)
        assert started == facts[0].event.gids()  # type: ignore[attr-defined]  # of JobRequested
        await eventually(lambda: _rows(api, 0), "the job to be no open one")


async def test_a_small_job_is_behind_one_window_of_a_large_one(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: CreditsApi, worker_: Worker, narrow: Any
) -> None:
    """Its step is queued behind those that are open, and before all that begin later."""
    for user in (ALICE, BOB):
        await credits_.give("100", user)
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), **narrow) as api:
        await worker_.pause()
        large = (await api.generate(await created(collections, ONE_STEP), generations=30)).data["job_id"]
        await eventually(lambda: _queued(worker_, WINDOW), "a window of the large job to be queued")
        mine = await created(collections, ONE_STEP, BOB)
        small = (await api.generate(mine, BOB)).data["job_id"]
        await eventually(lambda: _queued(worker_, WINDOW + 1), "the small job to be queued")
        worker_.may_work.set()
        await api.ended(large)
        order = [str(work.job_id) for work in worker_.worked]
        assert Counter(order) == {large: 30, small: 1}
        assert order.index(small) <= WINDOW + 1  # the worker may have had one message in hand
        ended = [
            item.stream_id for item in await api.store.read_all(0, 1000) if item.type == "job_generation_completed.v1"
        ]
        assert ended.index(UUID(small)) <= 3 * WINDOW, "of those that began after it, few have ended before it"


async def test_a_job_begins_though_another_one_keeps_the_read_tables_busy(
    database: str,
    nats_url: str,
    tmp_path: Path,
    collections: Any,
    credits_: CreditsApi,
    worker_: Worker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A few generations of each job start; the others wait until the tables are not far behind any more."""
    for module in (followers, starter):
        monkeypatch.setattr(module, "MAX_LAG_WAIT", 2 * PATIENCE)
    monkeypatch.setattr(starter, "MAX_LAG", -(10**6))  # as if they were always further behind
    for user in (ALICE, BOB):
        await credits_.give("100", user)
    async with generation_service(database, nats_url, tmp_path, TokenIssuer()) as api:
        await worker_.pause()
        await api.generate(await created(collections, ONE_STEP), generations=20)
        await eventually(lambda: _queued(worker_, starter.FIRST), "the first ones of the large job to be queued")
        mine = await created(collections, ONE_STEP, BOB)
        await api.generate(mine, BOB)
        await eventually(lambda: _queued(worker_, starter.FIRST + 1), "the small job to be queued")
        assert await _started(api) == starter.FIRST + 1
        monkeypatch.setattr(starter, "MAX_LAG", followers.MAX_LAG)
        await api.generate(mine, BOB)
        await eventually(lambda: _has_started(api, 22), "the rest to start")


async def _started(api: Api) -> int:
    return sum("generation_started" in event.type for event in await api.store.read_all(0, 1000))


async def _has_started(api: Api, count: int) -> bool:
    return await _started(api) == count


async def test_another_leader_goes_on_where_the_last_one_stopped(
    database: str, nats_url: str, tmp_path: Path, collections: Any, credits_: CreditsApi, worker_: Worker, narrow: Any
) -> None:
    """Also where that one had not yet written how far it had come."""
    issuer = TokenIssuer()
    await credits_.give("100")
    async with generation_service(database, nats_url, tmp_path, issuer, **narrow) as api:
        await worker_.pause()
        job_id = (await api.generate(await created(collections, ONE_STEP), generations=12)).data["job_id"]
        await eventually(lambda: _queued(worker_, WINDOW), "a window to be queued")
    with psycopg.connect(database) as connection:
        connection.execute("update open_jobs set started = 0")
    worker_.may_work.set()
    async with generation_service(database, nats_url, tmp_path, issuer, **narrow) as api:
        await api.ended(job_id)
        assert await most_open(api, job_id) <= WINDOW
        assert set(Counter((work.sid, work.attempt) for work in worker_.worked).values()) == {1}
        assert len({work.gid for work in worker_.worked}) == 12


async def test_a_job_that_can_not_be_started_fails_and_others_go_on(
    api: Api, collections: Any, credits_: CreditsApi, worker_: Worker
) -> None:
    """Its request names a version of a workflow that there is not."""
    job_id, generation = uuid4(), RequestedGeneration(uuid4(), "ab" * 32, 1)
    job = JobRequested(
        job_id=job_id,
        name="Impossible",
        job_type="collection_generation",
        user_id=ALICE,
        collection_id=uuid4(),
        project_id=uuid4(),
        data=ONE_STEP,
        workflow_versions={"sketch": 1, "nowhere": 7},
        variables={},
        generations=[generation],
        quoted=1,
    )
    appended = await api.store.append([StreamAppend(job_id, 0, [job])], Context(uuid4(), "tester"))
    await api.service.runtime.projector.caught_up(appended.position, PATIENCE)
    assert (await api.ended(str(job_id), "failed"))["error"].startswith("GENERATION_FAILED")
    await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])


async def _queued(worker: Worker, count: int) -> bool:
    return await queued(worker) == count


async def _rows(api: Api, count: int) -> bool:
    ((number,),) = await api.store.pool.rows("select count(*) from open_jobs", ())
    return bool(number == count)


async def test_a_small_job_is_behind_the_few_steps_that_were_sent(
    api: Api, collections: Any, credits_: CreditsApi, worker_: Worker
) -> None:
    """Though many more of the large job are ready: these wait where they can be overtaken."""
    for user in (ALICE, BOB):
        await credits_.give("100", user)
    await worker_.pause()
    sent = queue_length(worker_.lanes, 0.0)
    large = (await api.generate(await created(collections, ONE_STEP), generations=50)).data["job_id"]
    await eventually(lambda: _queued(worker_, sent), "a few steps to be sent")
    await eventually(lambda: _open_steps(api, 50), "all of them to be ready")
    small = (await api.generate(await created(collections, ONE_STEP, BOB), BOB)).data["job_id"]
    await eventually(lambda: _open_steps(api, 51), "the small job's step to be ready")
    assert await queued(worker_) == sent
    worker_.may_work.set()
    await api.ended(large)
    order = [str(work.job_id) for work in worker_.worked]
    assert Counter(order) == {large: 50, small: 1}
    assert order.index(small) <= sent + 1, "the worker may have had one message in hand"


async def _open_steps(api: Api, count: int) -> bool:
    return await api.store.pool.rows(f"select count(*) from {OPEN_STEPS.table}", ()) == [(count,)]
