"""An Idempotency-Key is for one request: another request with it is refused and not applied."""

import asyncio

from tests.support.apps.client import BOB, Answer
from tests.support.apps.collections import Api

KEY = {"Idempotency-Key": "one"}
REUSED = (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_key_with_another_body_is_refused(api: Api) -> None:
    """The first request's answer would mislead the client."""
    first = await api.post("/projects/collections", {"title": "First"}, headers=KEY)
    other = await api.post("/projects/collections", {"title": "Other"}, headers=KEY)
    assert (other.code, other.pointers) == (REUSED, ["header:Idempotency-Key"])
    again = await api.post("/projects/collections", {"title": "First"}, headers=KEY)
    assert again.data == first.data
    listed = await api.get(f"/projects/{first.data['project_id']}/collections")
    assert [item["title"] for item in listed.body["data"]] == ["First"]


async def test_a_key_with_another_query_is_refused(api: Api) -> None:
    project = (await api.post("/projects", {"name": "P"})).data["id"]
    await api.post("/projects/collections", {"title": "First"}, headers=KEY)
    other = await api.post(f"/projects/collections?project_id={project}", {"title": "First"}, headers=KEY)
    assert other.code == REUSED


async def test_repeated_creations_of_projects_are_recognised_by_their_key(api: Api) -> None:
    answer = await api.post("/projects", {"name": "P"}, headers=KEY)
    assert (await api.post("/projects", {"name": "P"}, headers=KEY)).data == answer.data
    assert (await api.post("/projects", {"name": "Q"}, headers=KEY)).code == REUSED


async def test_two_users_may_use_the_same_key(api: Api) -> None:
    await api.post("/projects", {"name": "P"}, headers=KEY)
    assert (await api.post("/projects", {"name": "Q"}, BOB, headers=KEY)).status == 201


async def test_a_refused_request_does_not_use_its_key(api: Api) -> None:
    """The corrected request may use the same key."""
    refused = await api.post("/projects/collections", {"title": 5}, headers=KEY)
    assert refused.status == 400
    assert (await api.post("/projects/collections", {"title": "5"}, headers=KEY)).status == 201


async def test_of_two_concurrent_requests_with_a_key_one_is_recorded(api: Api) -> None:
    """Repeats get the answer of the first; other requests are refused."""

    async def send(number: int) -> Answer:
        return await api.post("/projects/collections", {"title": f"T{number % 2}"}, headers=KEY)

    answers = await asyncio.gather(*(send(number) for number in range(10)))
    collections = [answer.data for answer in answers if answer.status == 201]
    refused = [answer.code for answer in answers if answer.status != 201]
    assert len({item["id"] for item in collections}) == 1
    assert len({item["title"] for item in collections}) == 1
    assert (len(collections), refused) == (5, [REUSED] * 5)
