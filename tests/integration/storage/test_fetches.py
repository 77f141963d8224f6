"""Images from the web: fetched once, checked by their bytes, and from public addresses only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web

from tests.support.apps.client import ALICE, BOB, Answer
from tests.support.apps.storage import Api, sha256, storage_service
from tests.support.servers import Bucket

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
FETCH_MAX_BYTES = 200_000


class Host:
    """A web server of a stranger, on a loopback address."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        match request.path:
            case "/bird.png" | "/birds/%2E%2E":
                return web.Response(body=PNG, content_type="text/html")
            case "/moved":
                raise web.HTTPFound("/bird.png")
            case "/round":
                raise web.HTTPFound("/round")
            case "/inside":
                raise web.HTTPFound("http://169.254.169.254/latest/meta-data")
            case "/page":
                return web.Response(text="<html></html>", content_type="image/png")
            case "/empty":
                return web.Response(content_type="image/png")
            case "/large":
                return web.Response(body=PNG + bytes(FETCH_MAX_BYTES))
            case "/slow":
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(PNG)
                await asyncio.Event().wait()
            case "/broken":
                response = web.StreamResponse(headers={"Content-Length": str(len(PNG) + 1)})
                await response.prepare(request)
                await response.write(PNG)
                assert request.transport is not None
                request.transport.close()
                return response
        raise web.HTTPNotFound


@asynccontextmanager
async def served(host: Host) -> AsyncIterator[Host]:
    app = web.Application()
    app.router.add_get("/{path:.*}", host.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.url = f"http://localhost:{runner.addresses[0][1]}"
    try:
        yield host
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def host() -> AsyncIterator[Host]:
    async with served(Host()) as started:
        yield started


@pytest_asyncio.fixture
async def allowing(database: str, nats_url: str, bucket: Bucket, tmp_path: Path) -> AsyncIterator[Api]:
    """Storage that may read from the host, and from no other private one."""
    bounds: dict[str, Any] = {"fetch_max_bytes": FETCH_MAX_BYTES, "fetch_seconds": 2.0}
    hosts = {"fetch_private_hosts": "localhost"}
    async with storage_service(database, nats_url, bucket, tmp_path, **bounds, **hosts) as started:
        yield started


async def fetch(api: Api, url: Any, user: Any = ALICE, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.send("POST", "/assets/fetch", user, json={"url": url}, headers=sent)


async def test_an_image_becomes_a_file_of_its_fetcher(allowing: Api, host: Host):
    """With the type of its bytes, through a redirect, under the name in the URL."""
    for path, name in (("/bird.png", "bird.png"), ("/moved", "moved")):
        answer = await fetch(allowing, host.url + path)
        assert answer.status == 201, answer.body
        asset = answer.data
        assert (asset["name"], asset["mime_type"], asset["size"], asset["sha256"], asset["user_id"]) == (
            name,
            "image/png",
            len(PNG),
            sha256(PNG),
            str(ALICE),
        )
        assert (await allowing.get(f"/assets/{asset['id']}/content")).raw == PNG
        assert (await allowing.get(f"/assets/{asset['id']}/content", BOB)).status == 404


async def test_a_repeated_request_fetches_nothing(allowing: Api, host: Host):
    """The same key answers the same file, whatever is at the address by then; with another URL it is refused."""
    first = await fetch(allowing, f"{host.url}/bird.png", idempotency_key="k")
    again = await fetch(allowing, f"{host.url}/bird.png", idempotency_key="k")
    assert (first.status, again.status, again.data) == (201, 200, first.data)
    assert host.requests == ["/bird.png"]
    assert (await fetch(allowing, f"{host.url}/moved", idempotency_key="k")).code == (422, "IDEMPOTENCY_KEY_REUSED")


REASONS = {
    "/none.png": "answered 404",
    "/round": "behind more than 5 redirects",
    "/inside": "169.254.169.254 is not a public address",
    "/page": "is not an image",
    "/empty": "is not an image",
    "/large": f"has more than {FETCH_MAX_BYTES} bytes",
    "/slow": "was not sent within 2 s",
    "/broken": "the connection failed",
}


async def test_an_image_that_cannot_be_had_is_refused_at_its_url(allowing: Api, host: Host):
    """And nothing is stored."""
    for path, words in REASONS.items():
        answer = await fetch(allowing, host.url + path)
        assert answer.refusal == (400, "VALIDATION_FAILED", ["/url"]), path
        assert words in answer.body["details"][0]["message"], path
    assert allowing.objects() == {}
    assert await allowing.runtime.store.head() == 0


NO_URLS = ["", "bird.png", "ftp://host/x.png", "http://", "http://[::1", "http://h/" + "x" * 2000]


async def test_what_is_no_url_of_an_image_is_refused(allowing: Api):
    for url in NO_URLS:
        assert (await fetch(allowing, url)).refusal == (400, "VALIDATION_FAILED", ["/url"]), url


async def test_private_addresses_are_not_fetched(api: Api, host: Host):
    """By name or by number, with credentials, or on a closed port: the answer does not tell which exist."""
    port = host.url.rpartition(":")[2]
    for url in (f"{host.url}/bird.png", f"http://127.0.0.1:{port}/bird.png", "http://10.0.0.1/", "http://[::1]:1/"):
        answer = await fetch(api, url)
        assert answer.refusal == (400, "VALIDATION_FAILED", ["/url"])
        assert "is not a public address" in answer.body["details"][0]["message"]
    assert "credentials" in (await fetch(api, "http://user:secret@example.com/a.png")).body["detail"]
    assert host.requests == []
