"""What operators see of the workers that are connected, and what jobs wait for when none is."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client

from shared.contracts.work import Announcement, AttemptInProgress, OfferedService
from shared.messaging.connection import connected
from tests.integration.generation.working import Worker, worker
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import FOXES, ONE_STEP, Api, Told, created
from tests.support.patience import eventually

NOW = "2026-11-27T00:00:00+00:00"


@contextlib.asynccontextmanager
async def announcing(nats_url: str) -> AsyncIterator[Client]:
    async with connected(nats_url, "announcer") as client:
        yield client


async def announce(client: Client, instance: str, *services: str, working: tuple[UUID, ...] = ()) -> None:
    offered = [OfferedService("direct_job", service, 2) for service in services]
    attempts = [AttemptInProgress(sid, 1, NOW) for sid in working]
    announcement = Announcement(instance, "studio", "1.0", offered, attempts, NOW)
    await client.publish(announcement.subject, msgspec.json.encode(announcement))


async def workers_of(api: Api) -> list[dict[str, Any]]:
    answer = await api.send("GET", "/workers", ALICE, "operator")
    assert answer.status == 200, answer.body
    workers: list[dict[str, Any]] = answer.body["data"]
    return workers


async def test_operators_see_who_is_connected_and_does_what(api: Api, nats_url: str) -> None:
    sid = uuid4()
    async with announcing(nats_url) as client:

        async def shown() -> list[dict[str, Any]]:
            await announce(client, "studio-1", "sketch", "frame", working=(sid,))
            return await workers_of(api)

        [worker] = await eventually(shown, "the worker to be shown", every=0.2)
        assert (worker["instance"], worker["name"], worker["version"]) == ("studio-1", "studio", "1.0")
        assert [offered["service"] for offered in worker["services"]] == ["sketch", "frame"]
        assert (worker["lanes"], [attempt["sid"] for attempt in worker["working"]]) == (2, [str(sid)])
        await client.publish("workers.studio-2", b'{"instance": "studio-1"}')
        await client.publish("workers.studio-1", b"{}")
        await announce(client, "studio-1")
        await eventually(lambda: _none(api), "the worker to be gone")
    assert (await api.get("/workers")).status == 403, "for operators only"


async def _none(api: Api) -> bool:
    return await workers_of(api) == []


async def test_a_job_that_no_worker_can_do_says_so_and_goes_on_when_one_comes(
    api: Api, collections: Any, credits_: CreditsApi, nats_url: str, databases: Callable[..., str]
) -> None:
    job_id = (await api.generate(await created(collections, FOXES), generations=2)).data["job_id"]

    async def unworkable() -> Any:
        waiting_for = (await api.job(job_id))["waiting_for"]
        return waiting_for if waiting_for and waiting_for["reason"] == "unworkable" else None

    waiting_for = await eventually(unworkable, "the job to be unworkable", every=0.3)
    assert waiting_for["services"] == ["direct_job.sketch"]
    assert waiting_for["message"].startswith("No connected worker does direct_job.sketch")
    assert waiting_for["since"] >= (await api.job(job_id))["started_at"]
    [listed] = (await api.get("/jobs?status=processing")).data
    assert listed["waiting_for"] == waiting_for
    assert listed["generation_counts"]["processing"] == 2
    async with api.follow(job_id) as events:
        reports = [event async for event in _until_waiting(events)]
        assert reports[-1].data["waiting_for"]["services"] == ["direct_job.sketch"]
        assert reports[-1].data["waiting_for"]["since"] == waiting_for["since"]
        async with worker(nats_url, databases()):
            job = await api.ended(job_id)
        assert [event async for event in events][-1].data["status"] == "completed"
    assert job["waiting_for"] is None
    assert [recorded.type for recorded in await api.store.read_all() if recorded.type == "step_failed.v1"] == []


async def _until_waiting(events: AsyncIterator[Told]) -> AsyncIterator[Told]:
    """The events of a job, up to the first `job_waiting`."""
    async for event in events:
        yield event
        if event.event == "job_waiting":
            assert event.id is None, "it is not replayed"
            return


async def test_a_job_that_waits_for_credits_says_so(api: Api, collections: Any) -> None:
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    assert (await api.job(job_id))["waiting_for"]["reason"] == "credits"
    assert (await api.job(job_id))["seconds_left"] is None


async def test_an_estimate_is_from_past_jobs_of_the_same_workflows(
    api: Api, collections: Any, credits_: Any, worker_: Worker
) -> None:
    """Of any user and collection; of other workflows nothing is known."""
    await credits_.give("100", BOB)
    past = (await api.generate(await created(collections, FOXES), generations=4)).data["job_id"]
    await api.ended(past)
    worker_.may_work.clear()
    same, other = await created(collections, FOXES, BOB), await created(collections, ONE_STEP, BOB)
    estimates = []
    for collection in (same, other):
        job_id = (await api.generate(collection, BOB, generations=2)).data["job_id"]
        estimates.append((await api.get(f"/jobs/{job_id}", BOB)).data["seconds_left"])
    assert estimates[0] > 0
    assert estimates[1] is None


async def test_jobs_are_listed_by_time_with_counts(api: Api, collections: Any) -> None:
    mine, other = await created(collections, FOXES), await created(collections, FOXES)
    for collection in (mine, mine, other):
        await api.generate(collection)
    answer = await api.get(f"/jobs?collection_id={mine}&limit=1")
    assert (len(answer.data), answer.body["counts"]) == (1, {"pending": 2})
    assert answer.body["next_cursor"] is not None
    assert (await api.get("/jobs?status=completed")).body["counts"] == {"pending": 3}, "of any status"
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    earlier = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (await api.get(f"/jobs?since={later}")).body["counts"] == {}
    assert len((await api.get(f"/jobs?since={earlier}")).data) == 3
    assert (await api.get("/jobs?since=yesterday")).status == 400
