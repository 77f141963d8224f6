"""A template with an image from the web, on the real set: fetched, used by workers, and in what is published."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from infra.demo.client import ApiError, Client
from tests.e2e.test_collections import SELLABLE
from tests.support.image_host import ImageHost
from tests.support.jobs import two_steps, until_ended
from tests.support.running_set import RunningSet
from tests.support.serving import serving

PATH = "/collections/custodial/from-template"
IMAGE = "data.steps[1].nodePayload.image"


class Web(NamedTuple):
    host: ImageHost
    url: str


@pytest_asyncio.fixture
async def web() -> AsyncIterator[Web]:
    """On `localhost`, from where the set's storage may fetch."""
    host = ImageHost()
    async with serving(host) as url:
        yield Web(host, url.replace("127.0.0.1", "localhost"))


async def template(client: Client) -> str:
    """A collection whose second step frames an image of an address."""
    data = two_steps()
    data["steps"][1]["nodePayload"]["image"] = "https://example.com/none.png"
    collection = await client.post("/projects/collections", {"title": "Frames", "description": "Seen", "data": data})
    preview = {"enabled": True, "max_generations": 5, "is_remixable": True}
    await client.call("PUT", f"/collections/{collection['id']}/preview", preview)
    return str(collection["id"])


def request(template_id: str, url: str, **more: Any) -> dict[str, Any]:
    return {
        "template_collection_id": template_id,
        "social_org": "farcaster",
        "social_identifier": "carol",
        "overrides": {IMAGE: {"$fetch": url}, "editions": 1, **SELLABLE},
        **more,
    }


async def framed(client: Client, collection_id: str) -> Any:
    """A finished job of one artwork, and the sha256 of its picture."""
    accepted = await client.post(f"/collections/{collection_id}/generations", {"generations": 1})
    job = await until_ended(client, accepted["job_id"])
    assert job["status"] == "completed", job["generations"]
    asset = await client.get(f"/assets/{job['generations'][0]['outputs'][-1]['asset_id']}")
    return job, asset["sha256"]


async def test_an_image_from_the_web_becomes_a_token(running: RunningSet, web: Web) -> None:
    """Stored once under one key; framed by the worker; and what anybody sees of the published token."""
    user = await running.rich_user()
    async with running.client(user) as client, aiohttp.ClientSession(running.url) as stranger:
        body = request(await template(client), f"{web.url}/red.png")
        draft, again = [await client.post(PATH, body, Idempotency_Key="once") for _ in range(2)]
        assert draft == again
        assert web.host.requests == ["/red.png"]
        [asset] = await client.get("/assets")
        assert (asset["name"], asset["sha256"]) == ("red.png", hashlib.sha256(web.host.images["/red.png"]).hexdigest())
        assert draft["data"]["steps"][1]["nodePayload"]["image"] == asset["url"]
        job, sha256 = await framed(client, draft["id"])
        await client.post(f"/collections/{draft['id']}/publish", {"job_id": job["id"]})
        async with stranger.get(f"/collections/{draft['id']}/tokens/1/image") as response:
            assert hashlib.sha256(await response.read()).hexdigest() == sha256


async def test_an_image_that_cannot_be_had_makes_nothing(running: RunningSet, web: Web) -> None:
    """A mended request under the same key does not fetch again what was stored."""
    async with running.client(await running.rich_user()) as client:
        template_id = await template(client)
        body = request(template_id, f"{web.url}/none.png")
        body["overrides"]["data.steps[1].nodePayload.title"] = {"$fetch": f"{web.url}/teal.png"}
        with pytest.raises(ApiError) as refusal:
            await client.post(PATH, body, Idempotency_Key="mended")
        assert refusal.value.status == 400
        assert [detail["pointer"] for detail in refusal.value.body["details"]] == [f"/overrides/{IMAGE}/$fetch"]
        [project] = await client.get("/projects")
        collections = [item async for item in client.items(f"/projects/{project['id']}/collections")]
        assert [collection["id"] for collection in collections] == [template_id]
        body["overrides"][IMAGE] = {"$fetch": "http://169.254.169.254/latest/meta-data"}
        with pytest.raises(ApiError, match="not a public address; no collection was created"):
            await client.post(PATH, body, Idempotency_Key="mended")
        body["overrides"][IMAGE] = {"$fetch": f"{web.url}/red.png"}
        await client.post(PATH, body, Idempotency_Key="mended")
        assert sorted(web.host.requests) == ["/none.png", "/red.png", "/teal.png"]


async def test_visitors_and_the_new_owner_use_the_image(running: RunningSet, web: Web) -> None:
    """Though the file is not theirs; each reads only what the workers made of it."""
    owner, visitor, carol = [await running.rich_user() for _ in range(3)]
    async with running.client(owner) as client, running.client(visitor) as guest, running.client(carol) as heir:
        body = request(
            await template(client), f"{web.url}/red.png", collection_preview={"enabled": True, "max_generations": 1}
        )
        draft = await client.post(PATH, body)
        [asset] = await client.get("/assets")
        await framed(guest, draft["id"])
        await client.post(f"/collections/{draft['id']}/custody", {"user_id": str(carol)})
        await framed(heir, draft["id"])
        for other in (guest, heir):
            with pytest.raises(ApiError, match="404"):
                await other.get(f"/assets/{asset['id']}/content")
