"""`POST /api/collections/generate`: two commands under one key, and what each of them answers."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from tests.support.edge_client import Edge, EdgeClient
from tests.support.upstream import Exchange, Played, UpstreamStub

Services = dict[str, UpstreamStub]
PATH = "/api/collections/generate"
COLLECTION, JOB = "6f1c0a52-6f0e-4a55-9d5c-0d8f6f0a7c11", "0d8f6f0a-6f0e-4a55-9d5c-6f1c0a527c11"
WARNING = {"pointer": "/data/steps/0/nodeName", "message": "echo is deprecated: use sketch"}
ACCEPTED = {
    "job_id": JOB,
    "status": "pending",
    "events_url": f"https://api.test/jobs/{JOB}/events",
    "warnings": [WARNING],
}
JSON = {"Content-Type": "application/json"}
NUMBERS = "[1e22, -0.0]"
BODY = f'{{"title": "Foxes", "data": {{"odd": {NUMBERS}}}, "generations": 2, "variables": {{"style": "ink"}}}}'


def collections(services: Services, status: int = 201, answer: Any = None, **headers: str) -> Played:
    created = {"data": {"id": COLLECTION, "title": "Foxes"}, "error": None}
    return Played(services["collections"], status, answer or created, headers)


def generation(services: Services, status: int = 202, answer: Any = None, **headers: str) -> Played:
    return Played(services["generation"], status, answer or {"data": ACCEPTED, "error": None}, headers)


async def test_both_commands_are_sent_and_one_answer_is_made(edge: EdgeClient, services: Services) -> None:
    """Each gets its own members as they were written; generation waits for what collections has recorded."""
    creation = collections(services, emprops_position="collections:1:7")
    job = generation(services, emprops_position="generation:1:9")
    async with edge.request("POST", f"{PATH}?asset_id=5", data=BODY, headers=JSON) as response:
        body = await response.json()
    assert (response.status, body) == (202, {"data": {"collection_id": COLLECTION, **ACCEPTED}, "error": None})
    assert response.headers["Location"] == f"/collections/{COLLECTION}"
    assert response.headers["Emprops-Position"] == "collections:1:7, generation:1:9"
    [first], [second] = creation.requests, job.requests
    assert (first.scope["path"], first.scope["query_string"]) == ("/projects/collections", b"asset_id=5")
    assert second.scope["path"] == f"/collections/{COLLECTION}/generations"
    assert second.headers["emprops-position"] == "collections:1:7"
    assert json.loads(job.bodies[0]) == {"generations": 2, "variables": {"style": "ink"}}
    assert json.loads(creation.bodies[0]).keys() == {"title", "data"}
    assert NUMBERS.encode() in creation.bodies[0]


async def test_a_repeated_request_has_the_same_keys(edge: EdgeClient, services: Services) -> None:
    """Those of another key, and of requests without one, are others; the client's own key is used by neither part."""
    creation, job = collections(services), generation(services)
    user = edge.issuer.bearer(UUID(COLLECTION))
    for headers in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}, {}, {}):
        assert (await edge.json("POST", PATH, json={}, headers=user | headers))[0] == 202
    keys = [request.headers["idempotency-key"] for request in creation.requests]
    assert keys == [request.headers["idempotency-key"] for request in job.requests]
    assert keys[0] == keys[1]
    assert len({"a", *keys}) == 5


@pytest.mark.parametrize("status", [400, 402, 409, 503])
async def test_a_refusal_of_the_job_is_passed_on(edge: EdgeClient, services: Services, status: int) -> None:
    """Its pointers are those of the request, since both parts' members stand side by side; the draft is named."""
    refusal = {"code": "X", "details": [{"pointer": "/variables/style", "message": "wrong"}], "status": status}
    collections(services)
    generation(services, status, refusal, retry_after="2")
    async with edge.request("POST", PATH, data=BODY, headers=JSON) as response:
        assert (response.status, await response.json()) == (status, refusal)
    assert response.headers["Location"] == f"/collections/{COLLECTION}"
    assert response.headers["Retry-After"] == "2"


async def test_a_refused_collection_has_no_job(edge: EdgeClient, services: Services) -> None:
    refusal = {"code": "VALIDATION_FAILED", "details": [{"pointer": "/title", "message": "wrong"}]}
    collections(services, 400, refusal)
    job = generation(services)
    async with edge.request("POST", PATH, data=BODY, headers=JSON) as response:
        assert (response.status, await response.json()) == (400, refusal)
    assert "Location" not in response.headers
    assert not job.requests


@pytest.mark.parametrize("body", ["[]", "{", '"x"'])
async def test_what_is_no_object_reaches_no_service(edge: EdgeClient, services: Services, body: str) -> None:
    creation = collections(services)
    async with edge.request("POST", PATH, data=body, headers=JSON) as response:
        problem = await response.json(content_type=None)
    assert (response.status, problem["code"]) == (400, "VALIDATION_FAILED")
    assert [detail["pointer"] for detail in problem["details"]] == [""]
    assert not creation.requests


async def test_a_large_body_is_sent_whole(edge: EdgeClient, services: Services) -> None:
    """More than what the edge holds of other requests; beyond the limit it is refused."""
    creation = collections(services)
    generation(services)
    large = {"title": "Foxes", "description": "x" * 200_000}
    assert (await edge.json("POST", PATH, json=large))[0] == 202
    assert json.loads(creation.bodies[0]) == large
    status, problem = await edge.json("POST", PATH, json={"description": "x" * 1_100_000})
    assert (status, problem["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_service_that_breaks_off_is_503(edge: EdgeClient, services: Services) -> None:
    """The collection is there by then, and the answer names it."""
    collections(services)

    async def break_off(exchange: Exchange) -> None:
        await exchange.start(202, content_length="1000")
        await exchange.write(b"half")
        raise ConnectionResetError

    services["generation"].answer = break_off
    async with edge.request("POST", PATH, json={}) as response:
        problem = await response.json(content_type=None)
    assert (response.status, problem["code"]) == (503, "UNAVAILABLE")
    assert response.headers["Location"] == f"/collections/{COLLECTION}"


async def test_both_parts_have_the_time_of_one_command(start_edge: Edge, services: Services) -> None:
    """The second has what the first has left of it."""
    edge = await start_edge(command_timeout=4.0)
    created = {"data": {"id": COLLECTION, "title": "Foxes"}, "error": None}

    async def answer_late(exchange: Exchange) -> None:
        await asyncio.sleep(3.0)
        await exchange.answer(json.dumps(created).encode(), 201, content_type="application/json")

    second_began = asyncio.get_running_loop().time()

    async def hang(_: Exchange) -> None:
        nonlocal second_began
        second_began = asyncio.get_running_loop().time()
        await asyncio.Event().wait()

    services["collections"].answer, services["generation"].answer = answer_late, hang
    status, problem = await edge.json("POST", PATH, json={}, headers={"Idempotency-Key": "a"})
    assert (status, problem["code"]) == (503, "UNAVAILABLE")
    assert asyncio.get_running_loop().time() - second_began < 3.5, "1 s is left; a command of its own would have 4 s"


async def test_only_users_may(edge: EdgeClient) -> None:
    headers = edge.issuer.bearer(roles=["worker"])
    assert (await edge.json("POST", PATH, json={}, headers=headers))[0] == 403
