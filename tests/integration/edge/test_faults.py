"""Services that are down, restart, break off or keep silent: what clients see of it."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.support.edge_client import Edge, EdgeClient
from tests.support.patience import eventually
from tests.support.serving import free_port, serving
from tests.support.upstream import Exchange, UpstreamStub

Services = dict[str, UpstreamStub]


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def test_a_service_that_is_down_is_unavailable(start_edge: Edge) -> None:
    """503 with the one error body and Retry-After, once the short while for restarts is over."""
    edge = await start_edge(credits_url=address(free_port()), restart_window=0.2)
    async with edge.request("GET", "/credits") as response:
        problem = await response.json(content_type=None)
        assert (response.status, problem["code"]) == (503, "UNAVAILABLE")
        assert response.headers["Retry-After"] == "1"
    assert (await edge.json("GET", "/projects"))[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_restart_is_not_noticed(start_edge: Edge, method: str) -> None:
    """A request that comes while the service is down is answered when it is back; nothing had been sent yet."""
    port = free_port()
    edge = await start_edge(credits_url=address(port))
    waiting = asyncio.create_task(edge.json(method, "/credits/quote", json={"a": 1}))
    stub = UpstreamStub("credits")
    while not waiting.done() and not stub.requests:
        # Only once the edge has been refused: an attempt takes far less than the start of a server.
        await asyncio.sleep(0.05)
        async with serving(stub, port=port):
            status, answer = await waiting
    assert (status, answer["service"]) == (200, "credits")
    assert len(stub.requests) == 1


async def test_an_upload_waits_for_a_restart_too(start_edge: Edge) -> None:
    """A streamed body is not touched before there is a connection."""
    port = free_port()
    edge = await start_edge(storage_url=address(port))

    async def body() -> Any:
        for _ in range(4):
            yield b"x" * 100_000

    waiting = asyncio.create_task(edge.json("POST", "/assets", data=body()))
    await asyncio.sleep(0.05)  # for the edge's first attempt; without one, the test passes too
    async with serving(UpstreamStub("storage"), port=port):
        status, answer = await waiting
    assert (status, answer["length"]) == (200, 400_000)


async def test_replicas_take_turns_and_stand_in(start_edge: Edge) -> None:
    """Each of two gets its share; with one stopped, and an address without a server, no request fails."""
    first, second = UpstreamStub("first"), UpstreamStub("second")
    async with serving(second) as second_url:
        async with AsyncExitStack() as stack:
            first_url = await stack.enter_async_context(serving(first))
            edge = await start_edge(credits_url=f"{first_url}, {second_url}, {address(free_port())}")
            names = [(await edge.json("GET", "/credits"))[1]["service"] for _ in range(10)]
            assert {"first", "second"} == set(names)
            assert min(names.count("first"), names.count("second")) >= 3
        names = [(await edge.json("POST", "/credits/quote", json={}))[1]["service"] for _ in range(6)]
        assert names == ["second"] * 6


async def test_a_replica_that_hangs_is_left_alone(start_edge: Edge) -> None:
    """Beside one that answers, it costs the requests that were sent to it, and not every other one from then on."""

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/health/live" not in await reader.readuntil(b"\r\n\r\n"):
            arrived.set()
        await released.wait()
        writer.close()

    arrived, released = asyncio.Event(), asyncio.Event()
    hanging = await asyncio.start_server(hangs, "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    async with hanging, serving(UpstreamStub("well")) as well:
        edge = await start_edge(credits_url=f"{well},{address(port)}")
        stuck = [asyncio.create_task(edge.json("GET", "/credits")) for _ in range(2)]
        await arrived.wait()
        names = [(await edge.json("GET", "/credits"))[1]["service"] for _ in range(10)]
        assert names == ["well"] * 10
        released.set()
        await asyncio.gather(*stuck)


async def test_a_replica_that_answers_503_comes_after_the_others(start_edge: Edge) -> None:
    """It runs, so its check passes, but it may have lost its database. Alone, it is asked nevertheless."""

    async def unavailable(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.answer(b"{}", status=503)

    first, second = UpstreamStub("first"), UpstreamStub("second")
    first.answer = unavailable
    async with serving(first) as first_url, serving(second) as second_url:
        edge = await start_edge(credits_url=f"{first_url},{second_url}")
        await eventually(lambda: _is_refused(edge), "the first one's turn")
        before = len(first.requests)
        assert [(await edge.json("GET", "/credits"))[1]["service"] for _ in range(10)] == ["second"] * 10
        assert len(first.requests) == before
        second.answer = unavailable
        assert [await _is_refused(edge) for _ in range(4)] == [True] * 4
        assert len(first.requests) > before


async def _is_refused(edge: EdgeClient) -> bool:
    async with edge.request("POST", "/credits/quote", json={}) as response:
        return response.status == 503


@pytest.mark.parametrize(("path", "length"), [("/projects", 100), ("/assets", 100_000)])
async def test_a_client_that_stops_in_the_middle_of_its_body_is_not_waited_for(
    start_edge: Edge, path: str, length: int
) -> None:
    """Whether the body is read first or streams through: silent clients can't fill the edge with open requests."""
    edge = await start_edge(idle_timeout=0.3)
    head = [
        f"POST {path} HTTP/1.1",
        "Host: edge",
        f"Authorization: {edge.issuer.bearer()['Authorization']}",
        f"Content-Length: {length}",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(edge.url).port)
    writer.write("\r\n".join([*head, "", '{"na']).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    problem = await reader.readuntil(b"}")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"no bytes arrived" in problem
    writer.close()


class BreaksOnce:
    """The first request is cut off, without an answer; later ones are answered."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.keys: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/health/live" in head:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            writer.close()
            return
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")), 0
        )
        self.seen.append(await reader.readexactly(length))
        if len(self.seen) > 1:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()
        writer.close()

    async def start(self, stack: AsyncExitStack) -> str:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        return address(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("method", "headers", "status", "times"),
    [
        ("GET", {}, 200, 2),
        ("PUT", {}, 200, 2),
        ("PUT", {"If-Match": '"3"'}, 200, 2),
        ("PUT", {"If-None-Match": '"4"'}, 503, 1),
        ("PUT", {"If-Match": '"3", "4"'}, 503, 1),
        ("POST", {"Idempotency-Key": "k"}, 200, 2),
        ("POST", {}, 503, 1),
    ],
)
async def test_only_what_cannot_be_done_twice_by_it_is_sent_again(
    start_edge: Edge, method: str, headers: dict[str, str], status: int, times: int
) -> None:
    """A request cut off after it was sent is repeated if it is idempotent; a plain POST is not.

    Nor is a PUT whose condition the version that it made could fail, so that its success would become a 412.
    """
    breaks = BreaksOnce()
    async with AsyncExitStack() as stack:
        edge = await start_edge(collections_url=await breaks.start(stack))
        path = "/collections/6f1c0a52-6f0e-4a55-9d5c-0d8f6f0a7c11/preview"
        answer_status, body = await edge.json(method, path, headers=headers, json={"a": 1})
    assert answer_status == status
    assert breaks.seen == [b'{"a": 1}'] * times
    if status == 503:
        assert body["code"] == "UNAVAILABLE"
        assert "Idempotency-Key" in body["detail"]


async def test_a_stream_that_breaks_off_does_not_look_complete(edge: EdgeClient, services: Services) -> None:
    """The client's connection is cut: half a file is never taken for a whole one, nor a job's events for its end."""

    async def half(exchange: Exchange) -> None:
        if "x-length" in exchange.headers:
            await exchange.start(content_type="image/png", content_length="200000")
        else:
            await exchange.start(content_type="image/png")
        await exchange.write(b"x" * 100_000)
        raise ConnectionResetError

    services["storage"].answer = half
    for headers in ({}, {"X-Length": "known"}):
        with pytest.raises(aiohttp.ClientPayloadError):
            async with edge.request("GET", "/assets/1/content", headers=headers) as response:
                await response.read()


async def test_a_silent_service_is_unavailable(start_edge: Edge, services: Services) -> None:
    """503 once the service has been silent for the idle timeout, and the request is not sent again."""

    async def silent(exchange: Exchange) -> None:
        await exchange.read()
        while (await exchange.receive())["type"] != "http.disconnect":
            pass

    services["credits"].answer = silent
    edge = await start_edge(idle_timeout=0.3)
    status, problem = await edge.json("GET", "/credits")
    assert (status, problem["code"]) == (503, "UNAVAILABLE")
    assert len(services["credits"].requests) == 1


async def test_headers_that_no_server_takes_are_the_clients_fault(edge: EdgeClient) -> None:
    """A Content-Length that is none, or one beside chunked coding, is refused by the edge's server, not with a 500."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(edge.url.rsplit(":", 1)[1]))
    writer.write(b"POST /projects HTTP/1.1\r\nhost: x\r\ncontent-length: ten\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
