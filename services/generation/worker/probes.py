"""`/health/live`, `/health/ready` and `/metrics` of a worker: all the HTTP that it has."""

import contextlib
from collections.abc import AsyncIterator, Mapping

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from shared.http.health import Check, Health, readiness_of


def _answer(health: Health) -> web.Response:
    status = 200 if health.status == "ok" else 503
    return web.Response(body=msgspec.json.encode(health), status=status, content_type="application/json")


@contextlib.asynccontextmanager
async def probes(host: str, port: int, checks: Mapping[str, Check], registry: CollectorRegistry) -> AsyncIterator[int]:
    """Serves them for the length of a block, and yields the port."""

    async def live(_request: web.Request) -> web.Response:
        return _answer(Health("ok", {}))

    async def ready(_request: web.Request) -> web.Response:
        return _answer(await readiness_of(checks))

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
