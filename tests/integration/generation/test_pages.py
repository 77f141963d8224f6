"""A job's generations are read in pages: bounded in number and bytes, and each costs what it shows."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from services.generation.queries.job import NAMES_BYTES, PAGE_BYTES, SELECT_GENERATIONS, SELECT_GENERATIONS_OF_STATUS
from shared.eventstore import EventStore
from tests.integration.generation.working import Worker, failed, finished
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.generation import FOXES, Api, created

MOST = 100_000
"""Bytes of an answer that shows a job."""
SMALL, LARGE, OTHER = UUID(int=10_000), UUID(int=100_000), UUID(int=3)
"""Jobs of so many generations; of the third there are as many, too."""

JOB = """
insert into jobs_v5 values (%(job)s, 1, %(user)s, gen_random_uuid(), 'a digest', 'Foxes', 'collection_generation',
  'processing', null, 1, 1, 0, 0, %(count)s, 0, %(count)s, 9 * %(count)s::int / 10, %(count)s / 100, 0, 0, false, now(),
  now(), now(), null)"""
FILL = """
insert into generations_v4
select gen_random_uuid(), %(job)s, place, repeat('ab', 32),
  case when place %% 100 = 7 then 'failed' when place %% 10 = 3 then 'processing' else 'completed' end,
  '{"style":"ink"}', null, %(outputs)s::text::json, length(%(outputs)s::text) + 100
from generate_series(0, %(count)s - 1) place"""
ASSET = (
    '[{"step_id":11,"kind":"asset","asset_id":123456789,"url":"https://api.test/assets/123456789/content",'
    '"mime_type":"image/png","text":null}]'
)


async def fill(store: EventStore, job: UUID, count: int, outputs: str = ASSET) -> None:
    """A job and its generations as the projector writes them."""
    values = {"job": job, "user": ALICE, "count": count, "outputs": outputs}
    async with await psycopg.AsyncConnection.connect(store.dsn, autocommit=True) as connection:
        await connection.execute(JOB, values)
        await connection.execute(FILL, values)


async def each(api: Api, job: UUID, **filters: str) -> list[Any]:
    """Every generation, page by page."""
    generations: list[Any] = []
    cursor: str | None = None
    while not generations or cursor is not None:
        query = "&".join(f"{name}={value}" for name, value in {**filters, "cursor": cursor}.items() if value)
        answer = await api.get(f"/jobs/{job}/generations?{query}".rstrip("?"))
        assert len(answer.text) <= MOST
        generations += answer.data
        cursor = answer.body["next_cursor"]
        assert answer.data
    return generations


async def test_a_job_of_10_000_generations_answers_with_its_first_page(api: Api) -> None:
    """And with the counts of all of them; the cursor leads to the rest, in order and each once."""
    await fill(api.store, SMALL, 10_000)
    answer = await api.get(f"/jobs/{SMALL}")
    assert len(answer.text) <= MOST
    job = answer.data
    assert job["generation_counts"] == {
        "pending": 0,
        "processing": 900,
        "completed": 9000,
        "failed": 100,
        "cancelled": 0,
    }
    assert len(job["generations"]) == 100
    behind = (await api.get(f"/jobs/{SMALL}/generations?limit=1&cursor={job['next_cursor']}")).data
    everything = await each(api, SMALL)
    assert everything[:101] == [*job["generations"], *behind]
    assert len({generation["gid"] for generation in everything}) == len(everything) == 10_000
    listed = await each(api, SMALL, status="failed")
    assert listed == [generation for generation in everything if generation["status"] == "failed"]
    assert len(listed) == 100


async def test_a_page_is_bounded_in_bytes(api: Api) -> None:
    """Behind as many generations as fit; one that is larger than a page has a page of its own."""
    await fill(api.store, OTHER, 20, f'["{"x" * 20_000}"]')
    job = (await api.get(f"/jobs/{OTHER}")).data
    assert len(job["generations"]) == 4
    assert len(await each(api, OTHER)) == 20
    single = UUID(int=1)
    await fill(api.store, single, 2, f'["{"x" * PAGE_BYTES}"]')
    first = await api.get(f"/jobs/{single}/generations")
    assert len(first.data) == 1
    last = await api.get(f"/jobs/{single}/generations?cursor={first.body['next_cursor']}")
    assert (len(last.data), last.body["next_cursor"]) == (1, None)


async def test_a_job_whose_generations_all_fit_has_no_cursor(
    api: Api, collections: Any, credits_: Any, worker_: Worker
) -> None:
    """They are there, pending, from the request on, and counted as they are shown."""
    await worker_.pause()
    worker_.behave = lambda work: failed(work, retryable=False) if len(worker_.worked) == 1 else finished(work)
    job_id = (await api.generate(await created(collections, FOXES), generations=3)).data["job_id"]
    job = await api.job(job_id)
    assert len(job["generations"]) == 3
    worker_.may_work.set()
    job = await api.ended(job_id, "partially_completed")
    assert job["generation_counts"] == {"pending": 0, "processing": 0, "completed": 2, "failed": 1, "cancelled": 0}
    assert job["next_cursor"] is None
    [failure] = (await api.get(f"/jobs/{job_id}/generations?status=failed")).data
    assert failure == next(generation for generation in job["generations"] if generation["status"] == "failed")


async def test_a_request_in_several_events_is_shown_in_its_order(api: Api, collections: Any, credits_: Any) -> None:
    """Many generations are listed in several events."""
    await credits_.give("5000")
    hashes = [f"{number:064x}" for number in range(3000)]
    job_id = (await api.generate(await created(collections, FOXES), hashes=hashes)).data["job_id"]
    assert [generation["hash"] for generation in await each(api, job_id)] == hashes


async def test_a_strangers_generations_are_not_shown(api: Api) -> None:
    """As the job is not; and what is no cursor or no status is refused."""
    await fill(api.store, OTHER, 1)
    assert (await api.get(f"/jobs/{OTHER}/generations", BOB)).status == 404
    for query, pointer in (("cursor=x", "?cursor"), ("status=done", "?status"), ("limit=101", "?limit")):
        assert (await api.get(f"/jobs/{OTHER}/generations?{query}")).refusal == (400, "VALIDATION_FAILED", [pointer])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("status", [None, "failed", "processing"])
async def test_a_page_costs_the_same_whatever_the_job_has(api: Api, status: str | None) -> None:
    """The rows that it shows, found by an index: in the middle of 10,000 as of 100,000 generations."""
    for job, count in ((SMALL, 10_000), (LARGE, 100_000)):
        await fill(api.store, job, count)
        async with await psycopg.AsyncConnection.connect(api.store.dsn, autocommit=True) as connection:
            await connection.execute("analyze generations_v4")
            query = SELECT_GENERATIONS if status is None else SELECT_GENERATIONS_OF_STATUS
            parameters = (job,) if status is None else (job, status)
            bounds = (NAMES_BYTES, *parameters, count // 2, 51, PAGE_BYTES, NAMES_BYTES)
            explained = f"explain (analyze, format json) {query}".replace("%b", "%s").encode()
            row = await (await connection.execute(explained, bounds)).fetchone()
        assert row is not None
        for node in nodes(row[0][0]["Plan"]):
            assert node["Node Type"] != "Seq Scan", row
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert read * node["Actual Loops"] <= 51, row
