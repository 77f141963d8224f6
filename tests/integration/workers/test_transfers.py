"""Reading a picture over real HTTP: bounds, redirects, breaking connections, and where the token goes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from services.edge.forwarding.limits import Limits
from shared.contracts.generation import StepError
from shared.contracts.work import UploadGrant
from tests.integration.workers.support import TOKEN
from workers.kit import transfers as transfers_module
from workers.kit.addresses import Addresses
from workers.kit.faults import StepFault
from workers.kit.files import File
from workers.kit.transfers import Transfers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LIMIT = 100_000


class Host:
    """A server with one answer to everything, which remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer: Handler = self.picture
        self.port = 0

    async def picture(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"picture")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.answer(request)

    def url(self, path: str = "/assets/1/content", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


async def serve(host: Host) -> web.AppRunner:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", host.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.port = runner.addresses[0][1]
    return runner


@pytest_asyncio.fixture
async def storage() -> AsyncIterator[Host]:
    host = Host()
    runner = await serve(host)
    yield host
    await runner.cleanup()


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[Host]:
    """Another server, which INPUT_HOSTS allows under the name `localhost`."""
    host = Host()
    runner = await serve(host)
    yield host
    await runner.cleanup()


@pytest_asyncio.fixture
async def download(storage: Host, elsewhere: Host) -> AsyncIterator[Callable[[object], Awaitable[bytes]]]:
    """Reads the payload's `image` with the grant of `storage`."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        addresses = Addresses("http://edge.invalid", [f"localhost:{elsewhere.port}"])
        transfers = Transfers(session, addresses, patience=1.0, max_bytes=LIMIT)
        grant = UploadGrant(storage.url("/uploads"), TOKEN)
        yield lambda link: transfers.download("image", link, grant, None)


Download = Callable[[object], Awaitable[bytes]]


async def fault(reading: Awaitable[bytes]) -> StepError:
    with pytest.raises(StepFault) as raised:
        await reading
    return raised.value.error


async def test_the_token_is_sent_to_storage_only(download: Download, storage: Host, elsewhere: Host) -> None:
    assert await download(storage.url()) == b"picture"
    assert await download(elsewhere.url(host="localhost")) == b"picture"
    assert storage.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in elsewhere.requests[0].headers


async def test_a_redirect_is_followed_where_one_might_have_gone_at_once(
    download: Download, storage: Host, elsewhere: Host
) -> None:
    async def redirect(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(elsewhere.url(host="localhost"))

    storage.answer = redirect
    assert await download(storage.url()) == b"picture"
    assert "Authorization" not in elsewhere.requests[0].headers


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/secret", "file:///etc/passwd", "http://[", "//evil.example"])
async def test_a_redirect_to_anywhere_else_is_refused(download: Download, storage: Host, location: str) -> None:
    async def redirect(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    storage.answer = redirect
    error = await fault(download(storage.url()))
    assert not error.retryable
    assert error.code in ("INPUT_REFUSED", "INPUT_UNREADABLE")


async def test_redirects_without_end_are_given_up(download: Download, storage: Host) -> None:
    async def redirect(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(storage.url("/assets/2/content"))

    storage.answer = redirect
    assert (await fault(download(storage.url()))).code == "INPUT_UNREADABLE"
    assert len(storage.requests) == 4


async def test_a_file_that_says_it_is_too_large_is_not_read(download: Download, storage: Host) -> None:
    async def large(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * (LIMIT + 1))

    storage.answer = large
    error = await fault(download(storage.url()))
    assert (error.code, error.retryable) == ("PAYLOAD_TOO_LARGE", False)


async def test_a_file_without_end_is_cut_off(download: Download, storage: Host) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 50_000)

    storage.answer = endless
    assert (await fault(download(storage.url()))).code == "PAYLOAD_TOO_LARGE"


async def test_what_is_packed_is_not_unpacked(download: Download, storage: Host) -> None:
    """A few kilobytes of gzip may hold a gigabyte."""

    async def packed(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b packed", headers={"Content-Encoding": "gzip"})

    storage.answer = packed
    assert await download(storage.url()) == b"\x1f\x8b packed"


async def test_a_connection_that_breaks_is_tried_again(download: Download, storage: Host) -> None:
    async def breaks_twice(request: web.Request) -> web.StreamResponse:
        if len(storage.requests) < 3:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"half")
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(body=b"whole")

    storage.answer = breaks_twice
    assert await download(storage.url()) == b"whole"


async def test_a_server_that_is_away_is_a_fault_that_passes(download: Download, storage: Host) -> None:
    link = storage.url().replace(str(storage.port), "1")
    assert (await fault(download(link))).code == "INPUT_REFUSED", "another port is another origin"

    async def away(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    storage.answer = away
    error = await fault(download(storage.url()))
    assert (error.code, error.retryable) == ("UNAVAILABLE", True)
    assert len(storage.requests) > 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_refusal_is_not_asked_again(download: Download, storage: Host, status: int) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": "not yours"}, status=status)

    storage.answer = refuse
    error = await fault(download(storage.url()))
    assert (error.code, error.retryable) == ("INPUT_UNREADABLE", False)
    assert error.message == f"image: {status} not yours"
    assert len(storage.requests) == 1


@pytest.mark.parametrize("link", [None, 5, {"url": "x"}, ["x"], True])
async def test_what_is_no_address_is_refused(download: Download, link: object) -> None:
    assert (await fault(download(link))).code == "VALIDATION_FAILED"


def paths(host: Host) -> list[str]:
    return [f"{request.method} {request.path}" for request in host.requests]


async def test_files_go_to_another_edge_while_one_is_silent(
    storage: Host, elsewhere: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stands still takes connections and answers nothing; grants go on naming it."""
    monkeypatch.setattr(transfers_module, "HEALTH_CHECK_SECONDS", 0.3)

    async def nothing(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def stored(request: web.Request) -> web.StreamResponse:
        digest = hashlib.sha256(await request.read()).hexdigest()
        record = {"id": 1, "url": "u", "path": "a.png", "mime_type": "image/png", "size": 7, "sha256": digest}
        return web.json_response({"data": record})

    storage.answer, elsewhere.answer = nothing, stored
    grant = UploadGrant(storage.url("/uploads"), TOKEN)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        addresses = Addresses("http://edge.invalid", [], [storage.url(""), elsewhere.url("")])
        transfers = Transfers(session, addresses, patience=60.0, max_bytes=LIMIT)
        await transfers.upload(File("a.png", "image/png", b"picture"), grant, None)
        assert paths(storage) == ["POST /uploads", "GET /health/live"]
        assert paths(elsewhere) == ["POST /uploads"]
        assert elsewhere.requests[-1].headers["Authorization"] == f"Bearer {TOKEN}"
        elsewhere.answer = elsewhere.picture
        assert await transfers.download("image", storage.url(), grant, None) == b"picture"
        assert len(storage.requests) == 2, "the silent one was asked again"
        elsewhere.answer, storage.answer = nothing, storage.picture
        assert await transfers.download("image", storage.url(), grant, None) == b"picture"


async def test_an_edge_that_lives_has_the_time_that_it_needs(
    storage: Host, elsewhere: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as an edge itself waits for storage, and longer: the file is not sent twice."""
    assert Limits().command < transfers_module.SILENT_SECONDS
    monkeypatch.setattr(transfers_module, "HEALTH_CHECK_SECONDS", 0.1)

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.path != "/health/live":
            await asyncio.sleep(0.5)  # the time itself is what is tried
        return web.Response(body=b"picture")

    storage.answer = slow
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        addresses = Addresses("http://edge.invalid", [], [storage.url(""), elsewhere.url("")])
        transfers = Transfers(session, addresses, patience=60.0, max_bytes=LIMIT)
        grant = UploadGrant(storage.url("/uploads"), TOKEN)
        assert await transfers.download("image", storage.url(), grant, None) == b"picture"
    assert paths(storage).count("GET /assets/1/content") == 1
    assert paths(storage).count("GET /health/live") >= 1
    assert paths(elsewhere) == []
