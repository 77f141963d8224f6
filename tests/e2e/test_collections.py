"""Collections through the edge, with real artworks: what components made, what tokens say, who may generate."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from infra.demo.client import ApiError, Client
from tests.support.jobs import answered, two_steps, until_ended
from tests.support.patience import eventually
from tests.support.running_set import RunningSet

SELLABLE = {"blockchain": "BASE", "price": "0.05"}
QUICK_PUBLICATIONS = 50


async def until(client: Client, path: str, is_met: Callable[[Any], bool]) -> Any:
    """What is at an address, once it is as wanted; other services' news takes a moment to arrive."""

    async def look() -> list[Any]:
        answer = await answered(client.get(path), 404, 503)
        return answer if answer and is_met(answer[0]) else []

    [answer] = await eventually(look, f"{path} to be as wanted", every=0.1)
    return answer


async def test_a_component_lists_what_it_made_with_inputs_and_outputs(running: RunningSet) -> None:
    """And each of its files is good to begin a collection from, with components of its own."""
    user = await running.rich_user()
    async with running.client(user) as client, running.client(uuid4()) as stranger:
        collection = await client.post("/projects/collections", {"title": "Tides", "data": two_steps()})
        accepted = await client.post(f"/collections/{collection['id']}/generations", {"generations": 2})
        job = await until_ended(client, accepted["job_id"])
        frame = collection["data"]["steps"][1]["id"]
        path = f"/collections/{collection['id']}/components/{frame}/assets"
        listed = await until(
            client, path, lambda answer: len(answer) == 2 and all(asset["gen_out_data"] for asset in answer)
        )
        outputs = {output["asset_id"] for generation in job["generations"] for output in generation["outputs"]}
        assert {asset["id"] for asset in listed} <= outputs
        for asset in listed:
            assert (asset["component_id"], asset["job_id"]) == (frame, job["id"])
            hash_ = asset["gen_in_data"]["generations"]["hashes"]
            assert hash_ in [[generation["hash"]] for generation in job["generations"]]
            assert asset["gen_out_data"]["status"] == "completed"
        with pytest.raises(ApiError) as refused:
            await stranger.get(path)
        assert refused.value.status == 404
        again = await client.post(f"/projects/collections?asset_id={listed[0]['id']}", {"title": "Again"})
        steps = again["data"]["steps"]
        assert [step["fromId"] for step in steps] == [step["id"] for step in collection["data"]["steps"]]
        assert steps[1]["nodePayload"]["image"] == {"$ref": steps[0]["id"]}


async def test_marketplaces_read_tokens_without_a_token(running: RunningSet) -> None:
    """Each shows what was drawn for it; those of a draft are visible to its owner only."""
    user = await running.rich_user()
    async with running.client(user) as client, aiohttp.ClientSession() as marketplace:
        collection = await client.post(
            "/projects/collections", {"title": "Tides", "data": two_steps(), "editions": 2, **SELLABLE}
        )
        accepted = await client.post(f"/collections/{collection['id']}/generations", {"generations": 2})
        job = await until_ended(client, accepted["job_id"])
        path = f"/collections/{collection['id']}/tokens/2/metadata"
        mine = await until(client, path, lambda _: True)
        mood = job["generations"][1]["variables"]["mood"]
        assert mine["attributes"] == [{"trait_type": "mood", "value": mood.capitalize()}]
        url = f"{running.url}{path}?raw=true"
        async with marketplace.get(url) as response:
            assert response.status == 404
        await client.post(f"/collections/{collection['id']}/publish", {"job_id": job["id"]})
        async with marketplace.get(url) as response:
            assert (response.status, await response.json()) == (200, mine)


async def test_a_scheduled_publication_happens_by_itself(running: RunningSet) -> None:
    async with running.client(await running.rich_user()) as client:
        collection, job = await sellable(client, "Soon")
        due = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        scheduled = await client.post(f"/collections/{collection['id']}/publish", {"job_id": job, "publish_date": due})
        assert scheduled["status"] == "draft"
        published = await until(
            client, f"/collections/{collection['id']}", lambda answer: answer["status"] == "published"
        )
        assert datetime.fromisoformat(published["publish_date"]) == datetime.fromisoformat(scheduled["scheduled_for"])


async def sellable(client: Client, title: str) -> tuple[Any, str]:
    """A collection that lacks nothing to be published, and its finished job."""
    fields = {"title": title, "description": "Seen", "data": two_steps(), "editions": 1, **SELLABLE}
    collection = await client.post("/projects/collections", fields)
    accepted = await client.post(f"/collections/{collection['id']}/generations", {"generations": 1})
    return collection, (await until_ended(client, accepted["job_id"]))["id"]


async def test_quick_publications_freeze_the_job_that_they_name(running: RunningSet) -> None:
    """Published the moment a job is answered as completed, with a trial before it and one that still runs."""
    user = await running.rich_user(QUICK_PUBLICATIONS * 10)
    async with running.client(user) as client:

        async def publish(number: int) -> None:
            collection, _ = await sellable(client, f"Quick {number}")
            path = f"/collections/{collection['id']}"
            accepted = await client.post(f"{path}/generations", {"generations": 1})
            job = await until_ended(client, accepted["job_id"])
            await client.post(f"{path}/generations", {"generations": 1})
            published = await client.post(f"{path}/publish", {"job_id": job["id"]})
            tokens = await client.get(f"{path}/tokens")
            assert published["series"]["job_id"] == job["id"]
            assert [token["gid"] for token in tokens] == [job["generations"][0]["gid"]]
            assert published["series"]["pictures"] == tokens

        for first in range(0, QUICK_PUBLICATIONS, 10):
            await asyncio.gather(*(publish(number) for number in range(first, first + 10)))


async def test_who_is_handed_a_collection_generates_it(running: RunningSet) -> None:
    """Held for a user of a social account, then transferred: the new owner may generate, the former may not."""
    owner = await running.rich_user()
    async with running.client(uuid4()) as keeper, running.client(owner) as new_owner:
        collection = await keeper.post("/projects/collections", {"title": "Tides", "data": two_steps()})
        kept_for = {"is_custodial": True, "social_org": "farcaster", "social_identifier": "tidewalker"}
        fork = await keeper.post(f"/collections/{collection['id']}/remix", kept_for)
        handed = await keeper.post(f"/collections/{fork['id']}/custody", {"user_id": str(owner)})
        assert (handed["user_id"], handed["is_custodial"]) == (str(owner), False)
        path = f"/collections/{fork['id']}/generations"
        [accepted] = await eventually(
            lambda: answered(new_owner.post(path, {"generations": 1}), 404), "the new owner to be known", every=0.1
        )
        assert (await until_ended(new_owner, accepted["job_id"]))["status"] == "completed"
        with pytest.raises(ApiError) as refused:
            await keeper.post(path, {"generations": 1})
        assert refused.value.status == 404
