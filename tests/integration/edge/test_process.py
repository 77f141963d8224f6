"""The edge as it is run: its own process, bounded memory, a bounded stop."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from services.edge.forwarding.replicas import Replicas
from services.edge.readiness import clock_check
from services.edge.routing import Upstream
from shared.clock import Reading
from shared.http import NotReady
from tests.support.clock import SteppedClock
from tests.support.edge_client import EdgeClient
from tests.support.patience import PATIENCE, NotYet, eventually
from tests.support.serving import free_port
from tests.support.tokens import TokenIssuer
from tests.support.upstream import Exchange, UpstreamStub

ROOT = Path(__file__).parents[3]
HOUR = timedelta(hours=1)
MIB = 1024 * 1024
TOTAL = 64 * MIB
Services = dict[str, UpstreamStub]


@asynccontextmanager
async def edge_process(
    services: Services, issuer: TokenIssuer, folder: Path, **environment: str
) -> AsyncIterator[tuple[Process, Any]]:
    """The process, and a client of it, once it is ready."""
    port = free_port()
    settings = {
        **{f"{name.upper()}_URL": stub.url for name, stub in services.items()},
        "HTTP_PORT": str(port),
        "JWKS_FILE": issuer.jwks_file(folder).removeprefix("file://"),
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.edge", "serve", cwd=ROOT, env={**os.environ, **settings}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            await until_ready(session, url)
            yield process, EdgeClient(session, url, issuer)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async def is_ready() -> bool:
        async with session.get(f"{url}/health/ready") as response:
            return response.status == 200

    await eventually(is_ready, "the edge to be ready", passing=(aiohttp.ClientError,))


async def test_large_streams_need_little_memory(services: Services, issuer: TokenIssuer, tmp_path: Path) -> None:
    """64 MiB up and 64 MiB down, past a reader that takes its time, grow the process by a few MiB only."""

    async def file(exchange: Exchange) -> None:
        await exchange.start(content_length=str(TOTAL))
        for _ in range(TOTAL // (256 * 1024)):
            await exchange.write(b"x" * 256 * 1024)
        await exchange.write(b"", more=False)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(TOTAL // (256 * 1024)):
            yield b"x" * 256 * 1024

    async with edge_process(services, issuer, tmp_path) as (process, edge):
        memory = psutil.Process(process.pid)
        await edge.json("GET", "/credits")
        before = memory.memory_info().rss
        status, answer = await edge.json("POST", "/assets", data=body())
        assert (status, answer["length"]) == (200, TOTAL)
        peak = memory.memory_info().rss
        services["storage"].answer = file
        received = 0
        async with edge.request("GET", "/assets/1/content") as response:
            async for chunk in response.content.iter_any():
                received += len(chunk)
                peak = max(peak, memory.memory_info().rss)
        assert received == TOTAL
        assert peak - before < 24 * MIB


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_in_bounded_time_with_streams_open(
    services: Services, issuer: TokenIssuer, tmp_path: Path, number: signal.Signals
) -> None:
    """An open stream of events doesn't keep the edge from ending; its client sees the end."""

    async def endless(exchange: Exchange) -> None:
        await exchange.start(content_type="text/event-stream")
        await exchange.write(b"data: 1\n\n")
        while (await exchange.receive())["type"] != "http.disconnect":
            pass

    services["generation"].answer = endless
    async with (
        edge_process(services, issuer, tmp_path) as (process, edge),
        edge.request("GET", "/jobs/1/events") as response,
    ):
        await response.content.readline()
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(aiohttp.ClientError):
                await response.content.read()
            assert await process.wait() in (0, -number)


@pytest.mark.parametrize(("offset", "side"), [(HOUR, "ahead of"), (-HOUR, "behind")])
async def test_it_tells_that_its_clock_is_another(
    services: Services, issuer: TokenIssuer, tmp_path: Path, offset: timedelta, side: str
) -> None:
    """Than that of the services: it stays ready."""
    clock = SteppedClock(tmp_path / "clock")
    async with edge_process(services, issuer, tmp_path, **clock.environment) as (_, edge):

        async def told(status: str) -> str:
            code, body = await edge.json("GET", "/health/ready")
            if (code, body["status"]) != (200, status):
                raise NotYet(code, body)
            return str(body["checks"]["clock"]["detail"])

        await eventually(lambda: told("ok"), "clocks to agree")
        with clock.off_by(offset):
            detail = await eventually(lambda: told("degraded"), "the edge to tell of its clock")
    seconds = float(detail.removeprefix("this clock is ").partition(" ")[0])
    assert seconds == pytest.approx(3600, abs=5)
    assert detail.endswith(f"s {side} the services'")


@pytest.mark.parametrize(("off", "is_told"), [(1, False), (2, False), (3, True)])
async def test_a_service_with_another_clock_is_not_the_edges_trouble(off: int, *, is_told: bool) -> None:
    """When more than half differ, it is."""
    replicas = {upstream: Replicas(upstream.value, [f"http://{upstream.value}"]) for upstream in Upstream}
    for number, item in enumerate(replicas.values()):
        item.clocks[item.urls[0]] = Reading(remote_time=3600.0 if number < off else 0.0, sent_at=0.0, round_trip=0.1)
    check = clock_check(replicas)
    if is_told:
        with pytest.raises(NotReady, match=r"this clock is 3599\.9 s behind the services'"):
            await check()
    else:
        assert await check() == "0.050 s from the services'"


async def test_missing_settings_are_named(tmp_path: Path) -> None:
    """One line that says which variables to set."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.edge",
        "serve",
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "CREDITS_URL": "http://127.0.0.1:1"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    assert process.returncode == 1
    assert b"COLLECTIONS_URL, GENERATION_URL, STORAGE_URL" in error
    assert b"Traceback" not in error
