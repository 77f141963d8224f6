"""From instructions to artwork, on the real set: in one call, and of what was saved last."""

from uuid import uuid4

import pytest

from infra.demo.client import ApiError
from tests.support.jobs import two_steps, until_ended, until_settled
from tests.support.running_set import RunningSet

PATH = "/api/collections/generate"


async def test_a_collection_and_its_job_in_one_call(running: RunningSet) -> None:
    """Under one key there is one of each, however often the request is sent."""
    user = await running.rich_user()
    async with running.client(user) as client:
        body = {"title": "At once", "data": two_steps(), "generations": 1}
        first, again = [await client.post(PATH, body, Idempotency_Key="once") for _ in range(2)]
        assert (first["collection_id"], first["job_id"]) == (again["collection_id"], again["job_id"])
        job = await until_ended(client, first["job_id"])
        assert (job["status"], job["collection_id"]) == ("completed", first["collection_id"])
        assert (await client.get(f"/collections/{first['collection_id']}"))["title"] == "At once"
        await until_settled(client)


async def test_a_job_that_is_refused_can_be_requested_again(running: RunningSet) -> None:
    """Pointers are into the one body; the same key finds the draft, and a mended request is accepted."""
    user = await running.rich_user()
    async with running.client(user) as client:
        body = {"title": "Mended", "data": two_steps(), "generations": 1}
        with pytest.raises(ApiError) as refused:
            await client.post(PATH, {**body, "variables": {"unheard": "of"}}, Idempotency_Key="mended")
        assert refused.value.status == 400
        assert [detail["pointer"] for detail in refused.value.body["details"]] == ["/variables/unheard"]
        answer = await client.post(PATH, body, Idempotency_Key="mended")
        [project] = await client.get("/projects")
        collections = [item async for item in client.items(f"/projects/{project['id']}/collections")]
        assert [collection["id"] for collection in collections] == [answer["collection_id"]]
        await until_ended(client, answer["job_id"])


async def test_a_post_after_a_put_runs_what_was_put(running: RunningSet) -> None:
    """The client sends neither position nor version: the edge remembers the positions of its answers."""
    user = await running.rich_user()
    async with running.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "Saved", "data": two_steps()})
        address = f"/projects/{collection['project_id']}/collections/{collection['id']}"
        for number in range(10):
            await client.call("PUT", address, {"title": f"Saved {number}"})
            answer = await client.post(f"/collections/{collection['id']}/generations", {"generations": 1})
            assert (await client.get(f"/jobs/{answer['job_id']}"))["name"] == f"Collection Generation: Saved {number}"
            await until_ended(client, answer["job_id"])


async def test_only_users_may_generate(running: RunningSet) -> None:
    async with running.client(uuid4(), "worker") as client:
        with pytest.raises(ApiError) as refused:
            await client.post(PATH, {})
        assert refused.value.status == 403
