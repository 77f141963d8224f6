"""Streams go through as they come, in both directions, within bounds; a client that leaves takes its request along."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.edge_client import Edge, EdgeClient
from tests.support.patience import PATIENCE, eventually
from tests.support.upstream import Exchange, UpstreamStub

Services = dict[str, UpstreamStub]
MIB = 1024 * 1024


async def counted(edge: EdgeClient, method: str, route: str) -> dict[str, int]:
    """How many requests of a route the edge's metrics have, by status; waits for the first."""
    line = re.compile(
        rf'http_request_seconds_count{{method="{method}",route="{re.escape(route)}",status="(\d+)"}} (\S+)'
    )

    async def look() -> dict[str, int]:
        async with edge.request("GET", "/metrics") as response:
            return {status: int(float(count)) for status, count in line.findall(await response.text())}

    return await eventually(look, "the request to be counted")


async def test_server_sent_events_arrive_one_by_one(edge: EdgeClient, services: Services) -> None:
    """Each event is there before the service sends the next one."""
    step = asyncio.Semaphore(0)

    async def events(exchange: Exchange) -> None:
        await exchange.start(content_type="text/event-stream", cache_control="no-cache")
        for number in range(5):
            await exchange.write(f"id: {number}\nevent: node_progress\ndata: {{}}\n\n".encode())
            await step.acquire()
        await exchange.write(b"", more=False)

    services["generation"].answer = events
    async with edge.request("GET", "/jobs/1/events", headers={"Last-Event-ID": "0"}) as response:
        assert response.content_type == "text/event-stream"
        for number in range(5):
            lines = [await response.content.readline() for _ in range(4)]
            assert lines[0] == f"id: {number}\n".encode()
            step.release()
        assert await response.content.read() == b""
    assert services["generation"].requests[0].headers["last-event-id"] == "0"


async def test_a_client_that_leaves_ends_the_stream_at_the_service(edge: EdgeClient, services: Services) -> None:
    """The service notices, though it was silent when the client left."""
    left = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.start(content_type="text/event-stream")
        await exchange.write(b"data: 1\n\n")
        while (await exchange.receive())["type"] != "http.disconnect":
            pass
        left.set()

    services["generation"].answer = endless
    async with edge.request("GET", "/jobs/1/events") as response:
        await response.content.readline()
    assert await asyncio.wait_for(left.wait(), PATIENCE)


async def test_a_client_that_leaves_before_the_answer_ends_the_request(edge: EdgeClient, services: Services) -> None:
    """Also while the service is still thinking. It is counted as 499, not as a fault of ours."""
    left = asyncio.Event()

    async def thinking(exchange: Exchange) -> None:
        await exchange.read()
        while (await exchange.receive())["type"] != "http.disconnect":
            pass
        left.set()

    services["credits"].answer = thinking
    request = asyncio.create_task(edge.json("POST", "/credits/quote", json={}))
    await services["credits"].arrived.wait()
    request.cancel()
    assert await asyncio.wait_for(left.wait(), PATIENCE)
    assert await counted(edge, "POST", "/credits/**") == {"499": 1}


@pytest.mark.parametrize("length", [9, 200_000], ids=["small", "streamed"])
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_counted_as_499(edge: EdgeClient, length: int) -> None:
    """Whether the edge holds the body back, or has begun to send it to the service."""
    _, writer = await asyncio.open_connection("127.0.0.1", int(edge.url.rsplit(":", 1)[1]))
    token = edge.issuer.bearer()["Authorization"].encode()
    writer.write(b"POST /projects/1 HTTP/1.1\r\nhost: x\r\nauthorization: " + token + b"\r\n")
    writer.write(b"content-length: %d\r\n\r\n{" % length)
    await writer.drain()
    writer.close()
    assert await counted(edge, "POST", "/projects/**") == {"499": 1}


async def test_an_upload_arrives_as_it_is_sent(edge: EdgeClient, services: Services) -> None:
    """The service has the first part before the client sends the second one."""
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def taking(exchange: Exchange) -> None:
        more = True
        while more:
            message = await exchange.receive()
            if message.get("body"):
                got.put_nowait(message["body"])
            more = message.get("more_body", False)
        await exchange.answer(b"{}", 201)

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"two", b"three"):
            yield part
            assert await got.get() == part

    services["storage"].answer = taking
    async with asyncio.timeout(PATIENCE), edge.request("POST", "/assets", data=parts()) as response:
        assert response.status == 201


async def numbered(total: int, chunk: int = MIB) -> AsyncIterator[bytes]:
    for number in range(total // chunk):
        yield number.to_bytes(8) * (chunk // 8)


@pytest.mark.parametrize("known_length", [True, False])
async def test_large_uploads_come_through_whole(edge: EdgeClient, *, known_length: bool) -> None:
    """Byte by byte the same, with Content-Length or chunked."""
    digest = hashlib.sha256()
    async for chunk in numbered(16 * MIB):
        digest.update(chunk)
    headers = {"Content-Length": str(16 * MIB)} if known_length else {}
    status, answer = await edge.json("POST", "/assets", data=numbered(16 * MIB), headers=headers)
    assert (status, answer["length"], answer["sha256"]) == (200, 16 * MIB, digest.hexdigest())
    assert answer["headers"].get("content-length") == (str(16 * MIB) if known_length else None)


async def test_a_slow_reader_slows_the_service_down(edge: EdgeClient, services: Services) -> None:
    """Of 64 MiB, only a small part is on its way while the client doesn't read."""
    sent = [0]
    total = 64 * MIB

    async def file(exchange: Exchange) -> None:
        await exchange.start(content_length=str(total), content_type="image/png")
        async for chunk in numbered(total, 256 * 1024):
            await exchange.write(chunk)
            sent[0] += len(chunk)
        await exchange.write(b"", more=False)

    services["storage"].answer = file
    async with edge.request("GET", "/assets/1/content") as response:
        await response.content.readexactly(1)
        before = -1
        while before != sent[0]:
            before = sent[0]
            for _ in range(2000):
                await asyncio.sleep(0)
        assert sent[0] < 32 * MIB
        received = 1
        async for chunk in response.content.iter_any():
            received += len(chunk)
    assert received == total


async def test_ranges_and_heads_go_through(edge: EdgeClient, services: Services) -> None:
    """206 with its Content-Range; HEAD with the length of what GET would answer."""

    async def file(exchange: Exchange) -> None:
        if exchange.scope["method"] == "HEAD":
            await exchange.start(content_length="1000000", accept_ranges="bytes")
            await exchange.write(b"", more=False)
        else:
            await exchange.answer(b"23", 206, content_range="bytes 2-3/1000000", seen=exchange.headers["range"])

    services["storage"].answer = file
    async with edge.request("GET", "/assets/1/content", headers={"Range": "bytes=2-3"}) as response:
        assert (response.status, await response.read()) == (206, b"23")
        assert (response.headers["Content-Range"], response.headers["seen"]) == ("bytes 2-3/1000000", "bytes=2-3")
    async with edge.request("HEAD", "/assets/1/content") as response:
        assert (response.status, response.headers["Content-Length"]) == (200, "1000000")


async def test_compressed_answers_stay_compressed(edge: EdgeClient, services: Services) -> None:
    """The edge doesn't look into what it passes on."""

    async def compressed(exchange: Exchange) -> None:
        await exchange.answer(b"\x1f\x8b not really", content_encoding="gzip")

    services["collections"].answer = compressed
    async with edge.request("GET", "/projects", headers={"Accept-Encoding": "gzip"}) as response:
        assert await response.read() == b"\x1f\x8b not really"
        assert response.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("known_length", [True, False])
@pytest.mark.parametrize(("path", "limit"), [("/projects", 100_000), ("/assets", 300_000)])
async def test_bodies_are_bounded(start_edge: Edge, path: str, limit: int, *, known_length: bool) -> None:
    """413 over the limit, declared or not; uploads have a limit of their own."""
    edge = await start_edge(max_body_bytes=100_000, max_upload_bytes=300_000)

    async def body(size: int) -> AsyncIterator[bytes]:
        yield b"x" * (size // 2)
        yield b"x" * (size - size // 2)

    for size, expected in ((limit, 200), (limit + 1, 413)):
        headers = {"Content-Length": str(size)} if known_length else {}
        status, answer = await edge.json("POST", path, data=body(size), headers=headers)
        assert status == expected
        assert answer.get("code") == ("PAYLOAD_TOO_LARGE" if expected == 413 else None)


async def test_an_upload_refused_early_is_answered(edge: EdgeClient, services: Services) -> None:
    """A service may answer before it has the body; the client gets that answer."""

    async def full(exchange: Exchange) -> None:
        await exchange.answer(b'{"code": "CONFLICT"}', 409)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65536
            await asyncio.sleep(0)

    services["storage"].answer = full
    headers = {"Content-Length": str(64 * 65536)}
    status, answer = await edge.json("POST", "/assets", data=body(), headers=headers)
    assert (status, answer) == (409, {"code": "CONFLICT"})


async def test_many_streams_at_once(edge: EdgeClient, services: Services) -> None:
    """Two hundred open streams each get every event."""
    go = asyncio.Event()

    async def events(exchange: Exchange) -> None:
        await exchange.start(content_type="text/event-stream")
        await exchange.write(b"data: first\n\n")
        await go.wait()
        await exchange.write(b"data: last\n\n", more=False)

    services["generation"].answer = events
    opened: list[Any] = []

    async def follow() -> bytes:
        async with edge.request("GET", "/jobs/1/events") as response:
            first: bytes = await response.content.readline()
            opened.append(first)
            if len(opened) == 200:
                go.set()
            rest: bytes = await response.content.read()
            return first + rest

    results = await asyncio.gather(*(follow() for _ in range(200)))
    assert set(results) == {b"data: first\n\ndata: last\n\n"}
