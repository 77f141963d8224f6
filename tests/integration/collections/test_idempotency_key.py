"""A key stands for one request: another one under it is refused, and nothing of it happens."""

import asyncio

from tests.support.apps.client import BOB, Answer
from tests.support.apps.collections import Api

KEY = {"Idempotency-Key": "one"}
REUSED = (422, "IDEMPOTENCY_KEY_REUSED")


async def test_another_body_under_a_key_is_refused(api: Api) -> None:
    """The first request's answer would tell the client that its second one had been carried out."""
    first = await api.post("/projects/collections", {"title": "First"}, headers=KEY)
    other = await api.post("/projects/collections", {"title": "Other"}, headers=KEY)
    assert (other.code, other.pointers) == (REUSED, ["header:Idempotency-Key"])
    again = await api.post("/projects/collections", {"title": "First"}, headers=KEY)
    assert again.data == first.data
    listed = await api.get(f"/projects/{first.data['project_id']}/collections")
    assert [item["title"] for item in listed.body["data"]] == ["First"]


async def test_another_query_under_a_key_is_another_request(api: Api) -> None:
    project = (await api.post("/projects", {"name": "P"})).data["id"]
    await api.post("/projects/collections", {"title": "First"}, headers=KEY)
    other = await api.post(f"/projects/collections?project_id={project}", {"title": "First"}, headers=KEY)
    assert other.code == REUSED


async def test_projects_know_their_keys_again_too(api: Api) -> None:
    made = await api.post("/projects", {"name": "P"}, headers=KEY)
    assert (await api.post("/projects", {"name": "P"}, headers=KEY)).data == made.data
    assert (await api.post("/projects", {"name": "Q"}, headers=KEY)).code == REUSED


async def test_a_key_is_its_users_own(api: Api) -> None:
    await api.post("/projects", {"name": "P"}, headers=KEY)
    assert (await api.post("/projects", {"name": "Q"}, BOB, headers=KEY)).status == 201


async def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    """Who mends a body that was refused need not invent another key."""
    refused = await api.post("/projects/collections", {"title": 5}, headers=KEY)
    assert refused.status == 400
    assert (await api.post("/projects/collections", {"title": "5"}, headers=KEY)).status == 201


async def test_of_two_requests_at_once_under_a_key_one_is_carried_out(api: Api) -> None:
    """The others are told of the first, or refused when they are not the same."""

    async def send(number: int) -> Answer:
        return await api.post("/projects/collections", {"title": f"T{number % 2}"}, headers=KEY)

    answers = await asyncio.gather(*(send(number) for number in range(10)))
    made = [answer.data for answer in answers if answer.status == 201]
    refused = [answer.code for answer in answers if answer.status != 201]
    assert len({item["id"] for item in made}) == 1
    assert len({item["title"] for item in made}) == 1
    assert (len(made), refused) == (5, [REUSED] * 5)
