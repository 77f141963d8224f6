"""Wrong input through the edge: the one error body with its code and pointer; nothing recorded, nothing charged."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import nats
import psycopg
import pytest

from infra.demo.client import ApiError
from tests.support.jobs import balance_of, start_job, two_steps, until_ended
from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet

Body = dict[str, Any]


def changed(**steps_or_variables: Any) -> Body:
    return {"title": "Wrong", "data": {**two_steps(), **steps_or_variables}}


def step(number: int, **payload: Any) -> Body:
    return {"id": number, "nodeName": "sketch", "nodePayload": {"prompt": "x", **payload}}


COLLECTIONS = {
    "a title that is no text": ({"title": 7}, "VALIDATION_FAILED", "/title"),
    "data that is no object": ({"title": "t", "data": [1]}, "VALIDATION_FAILED", "/data"),
    "steps that are no list": (changed(steps="none"), "VALIDATION_FAILED", "/data/steps"),
    "a reference to nowhere": (
        changed(steps=[step(1, image={"$ref": 9})]),
        "VALIDATION_FAILED",
        "/data/steps/0/nodePayload/image/$ref",
    ),
    "a reference to itself": (
        changed(steps=[step(1, deep=[{"image": {"$ref": 1}}])]),
        "VALIDATION_FAILED",
        "/data/steps/0/nodePayload/deep/0/image/$ref",
    ),
    "a circle": (
        changed(steps=[step(1, image={"$ref": 2}), step(2, image={"$ref": 1})]),
        "VALIDATION_FAILED",
        "/data/steps/0/nodePayload/image/$ref",
    ),
    "an unknown variable": (
        changed(steps=[step(1, title="{{nobody}}")]),
        "VALIDATION_FAILED",
        "/data/steps/0/nodePayload/title",
    ),
    "a blockchain that we don't know": ({"title": "t", "blockchain": "DOGE"}, "VALIDATION_FAILED", "/blockchain"),
}


RECORDED_BY = "select count(*) from events where convert_from(metadata, 'UTF8')::jsonb ->> 'actor' = %s"


def recorded_by(running: RunningSet, user: UUID) -> int:
    """How many events the user's commands have made, in all services."""
    count = 0
    for service in ("collections", "generation", "credits", "storage"):
        with psycopg.connect(running.file.services[service].database_url) as connection:
            count += connection.execute(RECORDED_BY, (f"user:{user}",)).fetchone()[0]
    return count


@pytest.mark.parametrize("case", COLLECTIONS)
async def test_a_wrong_collection_is_refused_with_code_and_pointer(running: RunningSet, case: str) -> None:
    body, code, pointer = COLLECTIONS[case]
    user = uuid4()
    async with running.client(user) as client:
        with pytest.raises(ApiError) as refused:
            await client.post("/projects/collections", body)
        assert recorded_by(running, user) == 0
        await client.post("/projects/collections", {"title": "Right"})
        assert recorded_by(running, user) > 0, "the count above would not have shown it"
    assert (refused.value.status, refused.value.code) == (400, code)
    assert pointer in [detail["pointer"] for detail in refused.value.body["details"]]
    assert refused.value.body["data"] is None
    assert refused.value.body["error"] == refused.value.body["detail"]


GENERATIONS = {
    "no generations": ({"generations": 0}, "/generations"),
    "too many generations": ({"generations": 10**9}, "/generations"),
    "generations that are no number": ({"generations": "four"}, "/generations"),
    "an unknown variable": ({"generations": 1, "variables": {"nobody": "x"}}, "/variables/nobody"),
    "a value outside a pick": ({"generations": 1, "variables": {"mood": "sad"}}, "/variables/mood"),
}


@pytest.mark.parametrize("case", GENERATIONS)
async def test_a_wrong_request_to_generate_is_refused_and_charges_nothing(running: RunningSet, case: str) -> None:
    body, pointer = GENERATIONS[case]
    user = await running.rich_user(10)
    async with running.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "t", "data": two_steps()})
        with pytest.raises(ApiError) as refused:
            await client.post(f"/collections/{collection['id']}/generations", body)
        assert (refused.value.status, refused.value.code) == (400, "VALIDATION_FAILED")
        assert pointer in [detail["pointer"] for detail in refused.value.body["details"]]
        assert await client.get("/jobs") == []
        assert await balance_of(client) == {"available": 10, "held": 0, "spent": 0}


async def test_an_unknown_workflow_is_named(running: RunningSet) -> None:
    user = await running.rich_user(10)
    data = {"version": "v2", "steps": [{"id": 1, "nodeName": "levitate", "nodePayload": {}}]}
    async with running.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "t", "data": data})
        with pytest.raises(ApiError) as refused:
            await client.post(f"/collections/{collection['id']}/generations", {"generations": 1})
        assert (refused.value.status, refused.value.code) == (404, "WORKFLOW_NOT_FOUND")
        assert "levitate" in refused.value.body["detail"] + json.dumps(refused.value.body["details"])
        assert await balance_of(client) == {"available": 10, "held": 0, "spent": 0}


async def test_without_credits_a_job_is_refused_with_402_and_nothing_is_held(running: RunningSet) -> None:
    async with running.client(uuid4()) as client:
        with pytest.raises(ApiError) as refused:
            await start_job(client, 1)
        assert (refused.value.status, refused.value.code) == (402, "INSUFFICIENT_CREDITS")
        assert await balance_of(client) == {"available": 0, "held": 0, "spent": 0}
        jobs = await client.get("/jobs")
        assert [job["status"] for job in jobs] == ["rejected"]


async def test_two_jobs_at_once_cannot_spend_the_same_credit(running: RunningSet) -> None:
    user = await running.rich_user(2)
    async with running.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "t", "data": two_steps()})
        path = f"/collections/{collection['id']}/generations"
        both = await asyncio.gather(*(client.post(path, {"generations": 1}) for _ in range(2)), return_exceptions=True)
        refused = [result for result in both if isinstance(result, ApiError)]
        assert [result.code for result in refused] == ["INSUFFICIENT_CREDITS"]
        accepted = next(result for result in both if isinstance(result, dict))
        await until_ended(client, accepted["job_id"])


RAW = {
    "no JSON": (b"{", 400, "VALIDATION_FAILED"),
    "not UTF-8": (b'{"title": "\xff"}', 400, "VALIDATION_FAILED"),
    "too deep": (b"[" * 100_000, 400, "VALIDATION_FAILED"),
    "too large": (b'{"title": "' + b"x" * (2 * 1024 * 1024) + b'"}', 413, "PAYLOAD_TOO_LARGE"),
}


@pytest.mark.parametrize("case", RAW)
async def test_a_body_that_is_no_request_gets_the_error_body_too(running: RunningSet, case: str) -> None:
    raw, status, code = RAW[case]
    async with running.client(uuid4()) as client:
        path = f"{running.url}/projects/collections"
        async with client.session.post(path, data=raw, headers={"Content-Type": "application/json"}) as response:
            body = await response.json(content_type="application/problem+json")
            assert (response.status, body["code"]) == (status, code)
            assert body["data"] is None


async def test_another_users_project_takes_no_collection(running: RunningSet) -> None:
    async with running.client(uuid4()) as owner, running.client(uuid4()) as stranger:
        project = await owner.post("/projects", {"name": "Mine"})
        with pytest.raises(ApiError) as refused:
            await stranger.post(f"/projects/collections?project_id={project['id']}", {"title": "t"})
        assert refused.value.status in {403, 404}
        assert await owner.get(f"/projects/{project['id']}/collections") == []


@pytest.mark.parametrize("token", ["", "nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."])
async def test_without_a_valid_token_nothing_is_answered(running: RunningSet, token: str) -> None:
    async with running.client(uuid4()) as client:
        headers = {"Authorization": f"Bearer {token}"}
        async with client.session.get(f"{running.url}/projects", headers=headers) as response:
            assert response.status == 401
            assert (await response.json(content_type=None))["code"] == "UNAUTHENTICATED"


async def test_a_user_cannot_grant_credits(running: RunningSet) -> None:
    user = uuid4()
    async with running.client(user) as client:
        with pytest.raises(ApiError) as refused:
            await client.post("/credits/grants", {"user_id": str(user), "amount": 1_000_000, "source": "me"})
        assert (refused.value.status, refused.value.code) == (403, "FORBIDDEN")


async def test_a_malformed_message_is_parked_and_its_consumer_goes_on(running: RunningSet) -> None:
    client_of_nats = await nats.connect(running.file.nats_url)
    try:
        await client_of_nats.jetstream().publish(
            f"events.generation.job.{uuid4()}.job_requested.v1", b"\xff not an event"
        )
    finally:
        await client_of_nats.close()

    async def parked() -> bool:
        rows = await asyncio.to_thread(running.command, "parked", "list", "--service", "credits")
        if [row["status"] for row in rows] != ["parked"]:
            raise NotYet(rows)
        return True

    await eventually(parked, "it is parked")
    try:
        await assert_a_job_completes(running)
    finally:
        await asyncio.to_thread(_discard_all, running)


async def assert_a_job_completes(running: RunningSet) -> None:
    user = await running.rich_user(10)
    async with running.client(user) as client:
        accepted = await start_job(client, 1)
        assert (await until_ended(client, accepted["job_id"]))["status"] == "completed"


def _discard_all(running: RunningSet) -> None:
    """The other tests of this set expect that nothing waits for an operator."""
    for service in ("collections", "credits", "generation", "storage"):
        for row in running.command("parked", "list", "--service", service):
            running.say("parked", "discard", "--service", service, str(row["id"]), "--reason", "a test's garbage")
