"""`/health/live`, `/health/ready` and `/metrics`: all the HTTP that a worker serves."""

import contextlib
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from shared.http.health import Health, Readiness


def _answer(health: Health) -> web.Response:
    return web.Response(body=msgspec.json.encode(health), status=health.http_status, content_type="application/json")


@contextlib.asynccontextmanager
async def probes(host: str, port: int, readiness: Readiness, registry: CollectorRegistry) -> AsyncIterator[int]:
    """Serves them for the length of a block, and yields the port. Port 0: any free one."""

    async def live(_request: web.Request) -> web.Response:
        return _answer(Health("ok", {}))

    async def ready(_request: web.Request) -> web.Response:
        return _answer(await readiness.look())

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes(
        [web.get("/health/live", live), web.get("/health/ready", ready), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
