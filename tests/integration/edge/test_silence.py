"""Silent replicas, as behind a proxy that forwards nothing: what clients and readiness get."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.edge.settings import EdgeSettings
from tests.support.edge_client import Edge, EdgeClient
from tests.support.load import busy_seconds
from tests.support.patience import PATIENCE, eventually
from tests.support.serving import serving
from tests.support.silence import SilentProxy, frozen
from tests.support.upstream import Exchange, UpstreamStub

TURN_SECONDS = 2.0
"""Within which another replica is to answer."""
ROOT = Path(__file__).parents[3]


class Silent:
    """Takes connections and whatever comes over them, and forwards or answers nothing until `ends` is called."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self._over = asyncio.Event()
        self._answers = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/health/" not in head:
            self.requests += 1
        if not self._answers:
            await self._over.wait()
        body = b'{"service":"silent"}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body))
        writer.close()

    def ends(self) -> None:
        self._answers = True
        self._over.set()


@asynccontextmanager
async def silent() -> AsyncIterator[Silent]:
    upstream = Silent()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield upstream
        upstream.ends()


async def ready(edge: EdgeClient) -> tuple[int, dict[str, Any]]:
    async with edge.session.get(f"{edge.url}/health/ready") as response:
        return response.status, (await response.json())["checks"]


async def until_ready_says(edge: EdgeClient, status: int, words: str) -> float:
    """Seconds that it took."""
    began = time.monotonic()

    async def says_so() -> bool:
        answer_status, checks = await ready(edge)
        return answer_status == status and words in str(checks)

    await eventually(says_so, f"readiness to answer {status} with {words!r}", within=PATIENCE)
    return time.monotonic() - began


COLLECTION = "/collections/6f1c0a52-6f0e-4a55-9d5c-0d8f6f0a7c11"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/credits/x", {}),
        ("POST", "/credits/x", {"Idempotency-Key": "k"}),
        ("PUT", f"{COLLECTION}/preview", {"If-Match": '"3"'}),
    ],
)
async def test_another_replica_is_asked_where_that_is_safe(
    start_edge: Edge, method: str, path: str, headers: dict[str, str]
) -> None:
    """Each of several requests is answered by the one that lives, long before the silent one would be given up on."""
    async with silent() as hanging, serving(UpstreamStub("well")) as well:
        replicas = f"{hanging.url},{well}"
        edge = await start_edge(
            credits_url=replicas, collections_url=replicas, read_timeout=60, command_timeout=60, turn_after=0.2
        )
        requests = [edge.json(method, path, headers=headers, json={}) for _ in range(6)]
        answers = await asyncio.gather(*requests)
    assert [(status, answer["service"]) for status, answer in answers] == [(200, "well")] * 6


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("POST", {"Idempotency-Key": "k"})])
async def test_another_replica_answers_within_two_seconds(
    start_edge: Edge, method: str, headers: dict[str, str]
) -> None:
    """With the settings that an operator gets who sets nothing; also for requests that the silent one was sent."""
    async with serving(UpstreamStub("other")) as other, serving(UpstreamStub("well")) as well:
        with SilentProxy(("127.0.0.1", int(other.rpartition(":")[2]))) as proxy:
            edge = await start_edge(credits_url=f"http://{proxy.address},{well}")
            connections = proxy.connections
            with proxy.silent():
                began = time.monotonic()
                requests = [edge.json(method, "/credits/x", headers=headers, json={}) for _ in range(6)]
                answers = await asyncio.gather(*requests)
                took = time.monotonic() - began
                assert proxy.connections > connections, "some were sent to the silent one"
    assert [(status, answer["service"]) for status, answer in answers] == [(200, "well")] * 6
    assert took < TURN_SECONDS + busy_seconds()
    unset = EdgeSettings(collections_url="-", generation_url="-", credits_url="-", storage_url="-")
    assert unset.limits().hedge < TURN_SECONDS, "a busy machine's delays hide no later turn"


async def test_a_command_that_may_have_been_done_is_not_sent_twice(start_edge: Edge) -> None:
    """503, which says that it may have been done, after the timeout."""
    async with silent() as hanging, serving(UpstreamStub("well")) as well:
        edge = await start_edge(credits_url=f"{hanging.url},{well}", command_timeout=0.6, turn_after=0.1)
        answers = await asyncio.gather(*(edge.json("POST", "/credits/x", json={}) for _ in range(2)))
        sent = hanging.requests
    refused = [body for status, body in answers if status == 503]
    assert len(refused) == sent == 1
    assert "may have been done or not" in refused[0]["detail"]


async def test_a_read_is_given_up_in_time(start_edge: Edge) -> None:
    async with silent() as hanging:
        edge = await start_edge(credits_url=hanging.url, read_timeout=0.5, turn_after=0.1)
        status, body = await edge.json("GET", "/credits")
    assert (status, body["code"]) == (503, "UNAVAILABLE")
    assert "silent" not in body["detail"]


async def test_a_slow_upload_is_the_clients_own_time(start_edge: Edge) -> None:
    """A client that sends slowly, and a service that takes slowly, are no silence of the service."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(8):
            await asyncio.sleep(0.1)  # together longer than `command_timeout`
            yield b"x" * 30_000

    edge = await start_edge(command_timeout=0.4)
    status, answer = await edge.json("POST", "/assets", data=pieces())
    assert (status, answer["length"]) == (200, 240_000)


async def test_a_silent_replica_is_put_aside_and_comes_back_by_itself(start_edge: Edge) -> None:
    """Readiness names it, and is lost only with every replica of a service; requests go to the others at once."""
    async with silent() as hanging, serving(UpstreamStub("well")) as well:
        edge = await start_edge(credits_url=f"{hanging.url},{well}")
        await until_ready_says(edge, 200, f"credits: {hanging.url} is silent")
        before = hanging.requests
        assert [(await edge.json("GET", "/credits"))[1]["service"] for _ in range(6)] == ["well"] * 6
        assert hanging.requests == before
        hanging.ends()

        async def is_asked() -> bool:
            await edge.json("GET", "/credits")
            return hanging.requests > before

        await eventually(is_asked, "requests to go to the replica again", within=PATIENCE, every=0)


async def test_a_service_without_a_replica_makes_the_edge_unready(start_edge: Edge) -> None:
    """It is named; and readiness comes back with it."""
    async with silent() as hanging:
        edge = await start_edge(credits_url=hanging.url)
        await until_ready_says(edge, 503, f"credits: {hanging.url} is silent")
        began = time.monotonic()
        assert (await ready(edge))[0] == 503
        assert time.monotonic() - began < 2, "readiness does not wait for what is silent"
        hanging.ends()
        await until_ready_says(edge, 200, "ok")


async def test_who_was_answered_is_shown_nothing_older(edge: EdgeClient, services: dict[str, UpstreamStub]) -> None:
    """The position of what a user was answered goes along with the user's next requests, to every service."""

    async def writes(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.answer(b"{}", emprops_position="collections:1:7")

    services["collections"].answer = writes
    token = edge.issuer.bearer()
    for headers, path, expected in (
        (token, "/jobs", "generation:1:2, collections:1:7"),
        (token, "/jobs", "collections:1:7"),
        (edge.issuer.bearer(), "/jobs", None),
    ):
        position_header = {"Emprops-Position": "generation:1:2"} if expected and "generation" in expected else {}
        async with edge.request("POST", "/projects", headers=token) as response:
            assert response.headers["Emprops-Position"] == "collections:1:7"
        _, answer = await edge.json("GET", path, headers={**headers, **position_header})
        assert answer["headers"].get("emprops-position") == (expected and expected.rpartition(", ")[2])


SERVER = """
import asyncio
from tests.support.serving import serving
from tests.support.upstream import UpstreamStub

async def main():
    async with serving(UpstreamStub("other")) as url:
        print(url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def replica_process() -> AsyncIterator[tuple[int, str]]:
    """A replica in a process of its own: its id, and its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        yield process.pid, (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def goes_on(edge: EdgeClient) -> set[str]:
    """Who answers a few reads and commands that are known again, all at once."""
    requests = [
        *(edge.json("GET", "/credits") for _ in range(4)),
        *(edge.json("POST", "/credits/x", headers={"Idempotency-Key": str(n)}, json={}) for n in range(4)),
    ]
    answers = await asyncio.gather(*requests)
    assert {status for status, _ in answers} == {200}
    return {answer["service"] for _, answer in answers}


async def test_with_a_frozen_replica_every_request_is_answered(start_edge: Edge) -> None:
    """SIGSTOP keeps its connections open: what waits on them is asked of the other one, and all is as before after."""
    async with replica_process() as (pid, other), serving(UpstreamStub("well")) as well:
        edge = await start_edge(credits_url=f"{other},{well}")
        assert await goes_on(edge) == {"well", "other"}
        with frozen(pid):
            assert await goes_on(edge) == {"well"}
            await until_ready_says(edge, 200, f"credits: {other} is silent")
            assert await goes_on(edge) == {"well"}
        async with asyncio.timeout(PATIENCE):
            while "other" not in await goes_on(edge):
                pass


async def test_behind_a_proxy_that_forwards_nothing_every_request_is_answered(start_edge: Edge) -> None:
    """It takes connections and bytes, and keeps those that were open."""
    async with serving(UpstreamStub("other")) as other, serving(UpstreamStub("well")) as well:
        with SilentProxy(("127.0.0.1", int(other.rpartition(":")[2]))) as proxy:
            edge = await start_edge(credits_url=f"http://{proxy.address},{well}")
            assert await goes_on(edge) == {"well", "other"}
            proxy.mode = "silent"
            assert await goes_on(edge) == {"well"}
            await until_ready_says(edge, 200, f"credits: http://{proxy.address} is silent")
            proxy.mode = "pass"
            async with asyncio.timeout(PATIENCE):
                while "other" not in await goes_on(edge):
                    pass


@pytest.mark.parametrize("path", [f"{COLLECTION}/generations", "/credits/grants"])
async def test_if_match_of_what_is_not_changed_does_not_make_a_command_repeatable(start_edge: Edge, path: str) -> None:
    """Generations of a collection leave its version as it is: a second command would be a second job."""
    async with silent() as hanging, serving(UpstreamStub("well")) as well:
        replicas = f"{hanging.url},{well}"
        edge = await start_edge(generation_url=replicas, credits_url=replicas, command_timeout=0.6, turn_after=0.1)
        requests = [edge.json("POST", path, headers={"If-Match": '"3"'}, json={}) for _ in range(2)]
        answers = await asyncio.gather(*requests)
        sent = hanging.requests
    assert len([status for status, _ in answers if status == 503]) == sent == 1
