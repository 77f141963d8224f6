"""The one way to make a service's HTTP application."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Litestar, Request
from litestar.di import NamedDependency, Provide
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler
from prometheus_client import CollectorRegistry

from shared.eventstore import Context
from shared.http.addresses import strict_addresses
from shared.http.auth import Authenticator, Principal, authentication
from shared.http.context import command_context
from shared.http.entry import Entry
from shared.http.etag import Precondition, precondition
from shared.http.health import Readiness, health_routes
from shared.http.metrics import RequestMetrics, create_registry, metrics_route
from shared.http.openapi import openapi_config
from shared.http.positions import History, freshness
from shared.http.problems import EXCEPTION_HANDLERS
from shared.http.request import ApiRequest

MAX_BODY = 1024 * 1024

User = NamedDependency[Principal]
"""`principal: User`: who asks, verified."""
CommandContext = NamedDependency[Context]
"""`context: CommandContext`: the event store's context of the command that the request is."""
GivenPrecondition = NamedDependency[Precondition]
"""`precondition: GivenPrecondition`: what If-Match and If-None-Match ask for."""

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def _principal(request: Request[Principal, Any, Any]) -> Principal:
    return request.user


def create_app(
    *,
    title: str,
    route_handlers: Sequence[ControllerRouterHandler],
    authenticator: Authenticator,
    readiness: Readiness | None = None,
    registry: CollectorRegistry | None = None,
    dependencies: Mapping[str, Any] | None = None,
    lifespan: Sequence[Lifespan] = (),
    max_body_bytes: int = MAX_BODY,
    version: str = "0.1.0",
    description: str | None = None,
    documented: bool = True,
    history: History | None = None,
) -> Litestar:
    """A Litestar application with what every service's HTTP has in common.

    Handlers may take, beside their own dependencies, `principal: User`, `context: CommandContext` and
    `precondition: GivenPrecondition`; a body as `data: JSONBody[T]`, path parameters as `FromPath[UUID]`. Bodies are
    bounded by `max_body_bytes`; a route that streams sets its own `request_max_body_size`. With `documented=False`
    there is no /schema: the edge has one of its own. `history` is that of a service with a store.
    """
    registry = create_registry() if registry is None else registry
    app = Litestar(
        route_handlers=[*route_handlers, *health_routes(readiness or Readiness()), metrics_route(registry)],
        middleware=[strict_addresses, authentication(authenticator), *([freshness(history)] if history else [])],
        dependencies={
            "context": Provide(command_context, sync_to_thread=False),
            "principal": Provide(_principal, sync_to_thread=False),
            "precondition": Provide(precondition, sync_to_thread=False),
            **(dependencies or {}),
        },
        exception_handlers=EXCEPTION_HANDLERS,
        request_class=ApiRequest,
        request_max_body_size=max_body_bytes,
        lifespan=list(lifespan),
        openapi_config=openapi_config(title, version, description) if documented else None,
        logging_config=None,
        debug=False,
    )
    _resolve_in_sequence(app)
    # Around Litestar's own exception handling and router: app-level middleware would not see unknown routes.
    app.asgi_handler = Entry(app.asgi_handler, RequestMetrics(registry))
    return app


def _resolve_in_sequence(app: Litestar) -> None:
    """Lets dependencies of one handler be resolved one after the other.

    Litestar resolves those that don't depend on each other in a task group, a task for each: that costs more than the
    rest of a request does, and ours have nothing to wait for. A batch of one is simply awaited.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, model in route.route_handler_map.values():
                model.dependency_batches = [{each} for batch in model.dependency_batches for each in batch]
