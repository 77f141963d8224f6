"""One whole set for all end-to-end tests; each test has users of its own."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from tests.support.jobs import start_job, until_ended
from tests.support.odd_requests import DEFINITION, MAX_CONCURRENT, ODD_WORKFLOW, Scene
from tests.support.running_set import RunningSet, running_set


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    """Its storage may fetch images from servers of the tests, on `localhost`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FETCH_PRIVATE_HOSTS", "localhost")
        with running_set(tmp_path_factory.mktemp("e2e") / "data") as instance:
            yield instance


@pytest_asyncio.fixture
async def scene(running: RunningSet) -> AsyncIterator[Scene]:
    user = await running.rich_user(100_000)
    async with running.client(user) as client:
        job = await start_job(client, 1)
        ended = await until_ended(client, job["job_id"])
        collection = await client.get(f"/collections/{ended['collection_id']}")
        assets = await client.get("/assets")
        body = {"job_id": job["job_id"], "allow_local": True}
        package = await client.post(f"/collections/{collection['id']}/packages", body)
    ids = {
        "project_id": collection["project_id"],
        "collection_id": collection["id"],
        "job_id": job["job_id"],
        "asset_id": str(assets[0]["id"]),
        "package_id": package["id"],
        "component_id": str(collection["data"]["steps"][0]["id"]),
        "number": "1",
        "cid": "bafkqaaa",
        "path": "manifest.json",
        "workflow": ODD_WORKFLOW,
    }
    operator = uuid4()
    async with running.client(operator, "operator") as client:
        await client.post("/workflows", {"name": ODD_WORKFLOW, "definition": DEFINITION})
    headers = {
        "user": {"Authorization": f"Bearer {running.token(user)}"},
        "operator": {"Authorization": f"Bearer {running.token(operator, 'operator')}"},
        "worker": {"Authorization": f"Bearer {running.grant(user)}"},
    }
    # A connection for each request: one that is kept may be closed by the server just when the next request is sent.
    connector = aiohttp.TCPConnector(limit=MAX_CONCURRENT, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Scene(running, session, user, headers, ids, collection)
    async with running.client(operator, "operator") as client:
        await client.post(f"/workflows/{ODD_WORKFLOW}/unpause", {})
