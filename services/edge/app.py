"""The wiring of the edge."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import aiohttp
from litestar import Litestar

from services.edge.create_and_generate import create_and_generate
from services.edge.create_from_template import create_from_template
from services.edge.document.schema import PublicSchema
from services.edge.forwarding.proxy import Proxy
from services.edge.readiness import clock_check, keys_check, service_checks
from services.edge.routes import document, jwks, proxied, viewer
from services.edge.routing import RoutingTable
from services.edge.settings import EdgeSettings
from services.edge.streams.web_sockets import WebSockets
from shared.contracts import grants
from shared.http import Authenticator, Issuer, create_app
from shared.http.health import Readiness
from shared.runtime.core_tasks import end_process, until_one_ends
from shared.stopping import stop

VERSION = version("emprops")
KEEP_ALIVE = 4.0
"""Seconds for which an idle connection to a service is kept: less than the 5 s for which services keep theirs."""


def authenticator_of(settings: EdgeSettings) -> Authenticator:
    """Verifies users' tokens and upload grants; a grant can give no role but `worker`."""
    users = Path(settings.jwks_file).absolute().as_uri() if settings.jwks_file else settings.auth_jwks_url
    issuers = [Issuer(settings.auth_issuer, users)]
    if settings.grants_jwks_url:
        issuers.append(Issuer(grants.ISSUER, settings.grants_jwks_url, roles_allowed=grants.ROLES))
    return Authenticator(issuers, settings.auth_audience)


def create(settings: EdgeSettings) -> Litestar:
    """The edge's application."""
    authenticator = authenticator_of(settings)
    replicas, limits, table = settings.replicas(), settings.limits(), RoutingTable()
    readiness = Readiness()

    @asynccontextmanager
    async def connections(app: Litestar) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, sock_read=limits.idle),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
        ) as session:
            watching = {
                f"replicas of {service.name}": asyncio.create_task(service.watch(session))
                for service in replicas.values()
            }
            core = asyncio.create_task(until_one_ends(watching))
            core.add_done_callback(end_process)
            app.state.proxy = Proxy(session, replicas, authenticator, limits, table)
            app.state.schema = PublicSchema(session, replicas, table, VERSION)
            readiness.checks["keys"] = keys_check(authenticator, settings.auth_issuer)
            readiness.checks["services"], readiness.order["replicas"] = service_checks(replicas)
            readiness.order["clock"] = clock_check(replicas)
            try:
                yield
            finally:
                await stop(core, *watching.values())

    app = create_app(
        title="emprops edge",
        route_handlers=[viewer, document, jwks, create_and_generate, create_from_template, proxied],
        dependencies={"settings": settings},
        authenticator=authenticator,
        readiness=readiness,
        lifespan=[connections],
        max_body_bytes=limits.body,
        documented=False,
    )
    app.asgi_handler = WebSockets(app.asgi_handler)
    return app
