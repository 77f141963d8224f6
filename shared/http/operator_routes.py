"""The routes for operators: `/health/live`, `/health/ready` and `/metrics`."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from shared.http.health import Health, Readiness
from shared.http.positions import WITHOUT_TABLES

OPEN = {"public": True} | WITHOUT_TABLES


def health_routes(readiness: Readiness) -> list[HTTPRouteHandler]:
    """The two route handlers."""

    @get("/health/live", opt=OPEN, include_in_schema=False, sync_to_thread=False)
    def live() -> Health:
        return Health("ok", {})

    @get("/health/ready", opt=OPEN, include_in_schema=False)
    async def ready() -> Response[Health]:
        health = await readiness.look()
        return Response(health, status_code=health.http_status)

    return [live, ready]


def metrics_route(registry: CollectorRegistry) -> HTTPRouteHandler:
    """The route handler of /metrics."""

    @get("/metrics", opt=OPEN, include_in_schema=False, sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return metrics
