"""What a marketplace, a wallet and an auditor read of a published collection, through the edge and without a token."""

import hashlib
import io
from typing import Any

import aiohttp

from shared.content.verification import verify
from tests.e2e.test_collections import SELLABLE
from tests.e2e.test_package import request_package
from tests.support.apps.collections import two_steps
from tests.support.jobs import until_ended
from tests.support.running_set import RunningSet

ORIGIN = {"Origin": "https://market.example"}


async def test_a_published_collection_is_read_without_a_token_and_without_ipfs(running: RunningSet) -> None:
    """As soon as publishing has answered: no request is repeated here."""
    async with running.client(await running.rich_user()) as client, aiohttp.ClientSession(running.url) as stranger:

        async def read(path: str, status: int = 200, **headers: str) -> tuple[bytes, Any]:
            async with stranger.get(path, headers={**ORIGIN, **headers}) as response:
                body = await response.read()
                assert response.status == status, (path, response.status, body[:500])
                assert response.headers["access-control-allow-origin"] == "*"
                return body, response.headers

        fields = {"title": "Tides", "description": "Seen", "data": two_steps(), "editions": 2, **SELLABLE}
        collection = await client.post("/projects/collections", fields)
        path = f"/collections/{collection['id']}"
        accepted = await client.post(f"{path}/generations", {"generations": 2})
        job = await until_ended(client, accepted["job_id"])
        await read(f"{path}/tokens/1/image", 404)
        gids = [generation["gid"] for generation in job["generations"]][::-1]
        await client.post(f"{path}/publish", {"job_id": job["id"], "generations": gids})
        for number, generation in enumerate(job["generations"][::-1], start=1):
            asset = await client.get(f"/assets/{generation['outputs'][-1]['asset_id']}")
            image, headers = await read(f"{path}/tokens/{number}/image")
            assert hashlib.sha256(image).hexdigest() == asset["sha256"]
            assert headers["etag"] == f'"{asset["sha256"]}"'
            part, _ = await read(f"{path}/tokens/{number:064x}/thumbnail", 206, Range="bytes=1-3")
            assert part == image[1:4]
            await read(f"{path}/tokens/{number}/animation", 404)
        await read(f"{path}/tokens/3/image", 404)
        document, headers = await read(f"{path}/tokens/{1:064x}.json")
        assert headers["cache-control"] == "public, max-age=60"
        await read(f"{path}/tokens/1", 304, **{"If-None-Match": headers["etag"]})

        package = await request_package(client, collection["id"], job["id"])
        root = package["root"]
        car, headers = await read(f"/ipfs/{root}?format=car")
        assert headers["x-ipfs-roots"] == root
        assert verify(io.BytesIO(car), len(car)).root == root
        assert hashlib.sha256(car).hexdigest() == package["sha256"]
        assert (await read(f"/ipfs/{root}/metadata/base/1.json"))[0] == document
        for artwork in package["manifest"]["artworks"]:
            image, _ = await read(f"{path}/tokens/{artwork['token']}/image")
            assert (await read(f"/ipfs/{artwork['cid']}"))[0] == image
            assert (await read(f"/ipfs/{root}/{artwork['path']}"))[0] == image
        await client.post(f"{path}/archive", {})
        await read(f"{path}/tokens/1.json", 404)
