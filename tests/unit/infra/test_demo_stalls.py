"""The demo stops waiting for a job that makes no progress."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.demo import journey as module
from infra.demo.client import Client
from infra.demo.journey import Reporter, Stalled, instructions, journey
from tests.support.patience import PATIENCE


async def created(_request: web.Request) -> web.Response:
    return web.json_response({"data": {"id": "c", "title": "First light", "data": instructions()}})


async def accepted(_request: web.Request) -> web.Response:
    return web.json_response({"data": {"job_id": "j", "status": "processing"}})


async def heartbeats(request: web.Request) -> web.StreamResponse:
    """A stream that is alive, of a job that is not: comments and no event."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    while True:
        await response.write(b": heartbeat\n\n")
        await asyncio.sleep(0.01)


async def test_a_job_without_events_is_not_waited_for_longer_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.2)
    app = web.Application()
    app.router.add_post("/projects/collections", created)
    app.router.add_post("/collections/c/generations", accepted)
    app.router.add_get("/jobs/j/events", heartbeats)
    async with TestServer(app) as server, Client(str(server.make_url("")), "token") as user:
        with pytest.raises(Stalled, match=r"job j has made no progress for 0\.2 s"):
            async with asyncio.timeout(PATIENCE):
                await journey(user, None, "u", tmp_path, 1, Reporter())
