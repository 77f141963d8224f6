"""Makes the HTTP application of a service."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Litestar, Request
from litestar.di import NamedDependency
from litestar.types import ControllerRouterHandler
from prometheus_client import CollectorRegistry

from shared.eventstore import Context
from shared.http.auth import Authenticator, Principal, authentication
from shared.http.context import command_context
from shared.http.etag import Precondition, precondition
from shared.http.health import Readiness
from shared.http.ingress import Ingress
from shared.http.openapi import openapi_config
from shared.http.operator_routes import health_routes, metrics_route
from shared.http.positions import History, freshness
from shared.http.problems import EXCEPTION_HANDLERS
from shared.http.providers import Provider, with_dependencies
from shared.http.request import ApiRequest
from shared.http.strict_urls import strict_urls
from shared.telemetry.metrics import RequestMetrics, create_registry

MAX_BODY = 1024 * 1024

User = NamedDependency[Principal]
"""`principal: User`: the verified user of the request."""
CommandContext = NamedDependency[Context]
"""`context: CommandContext`: the event store's context for the request's command."""
CommandPrecondition = NamedDependency[Precondition]
"""`precondition: CommandPrecondition`: what If-Match and If-None-Match require."""

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def _principal(request: Request[Principal, Any, Any]) -> Principal:
    return request.user


def _constant(value: object) -> Provider:
    def provide() -> Any:
        return value

    return provide


def create_app(
    *,
    title: str,
    route_handlers: Sequence[ControllerRouterHandler],
    authenticator: Authenticator,
    readiness: Readiness | None = None,
    registry: CollectorRegistry | None = None,
    dependencies: Mapping[str, object] | None = None,
    providers: Mapping[str, Provider] | None = None,
    context: Provider = command_context,
    lifespan: Sequence[Lifespan] = (),
    max_body_bytes: int = MAX_BODY,
    version: str = "0.1.0",
    description: str | None = None,
    documented: bool = True,
    history: History | None = None,
) -> Litestar:
    """A Litestar application with everything that all services have in common.

    Handlers can have these parameters: `principal: User`, `context: CommandContext`,
    `precondition: CommandPrecondition`, a body as `data: JSONBody[T]`, path parameters as `FromPath[UUID]`, and the
    service's own, by name: `dependencies` are its objects, and `providers` make further ones for each request.

    `max_body_bytes` bounds bodies; a route that streams sets its own `request_max_body_size`. `history` and `context`
    are for a service with an event store. `documented=False` leaves out /schema: the edge has one of its own.
    """
    registry = create_registry() if registry is None else registry
    # The order of resolution: providers that may refuse a request come last.
    all_providers: dict[str, Provider] = {
        "principal": _principal,
        **{name: _constant(value) for name, value in (dependencies or {}).items()},
        "context": context,
        "precondition": precondition,
        **(providers or {}),
    }
    app = Litestar(
        route_handlers=[
            *[with_dependencies(handler, all_providers) for handler in route_handlers],
            *health_routes(readiness or Readiness()),
            metrics_route(registry),
        ],
        middleware=[strict_urls, authentication(authenticator), *([freshness(history)] if history else [])],
        exception_handlers=EXCEPTION_HANDLERS,
        request_class=ApiRequest,
        request_max_body_size=max_body_bytes,
        lifespan=list(lifespan),
        openapi_config=openapi_config(title, version, description) if documented else None,
        logging_config=None,
        debug=False,
    )
    # Around Litestar's own exception handling and router, since app-level middleware does not see unknown routes.
    app.asgi_handler = Ingress(app.asgi_handler, RequestMetrics(registry))
    return app
