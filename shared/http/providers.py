"""Dependencies that are resolved in sequence, and only those that a handler needs.

Litestar resolves dependencies that don't depend on each other in a task group, with a task for each, which costs more
than the rest of a request. So each provider is made to depend on the one before it. Such a chain resolves all of its
providers; hence each handler has its own chain.
"""

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from litestar import Router
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

Provider = Callable[..., Any]
Anything = NamedDependency[Any]


def with_dependencies(handler: ControllerRouterHandler, providers: Mapping[str, Provider]) -> ControllerRouterHandler:
    """The handler with the providers of its parameters, and of these providers' own. A router gets all providers."""
    if isinstance(handler, Router):
        return Router("/", route_handlers=[handler], dependencies=in_sequence(providers))
    if not isinstance(handler, HTTPRouteHandler):
        return handler
    parameters, needed = list(inspect.signature(handler.fn).parameters), set[str]()
    while parameters:
        name = parameters.pop()
        if name in providers and name not in needed:
            needed.add(name)
            parameters += inspect.signature(providers[name]).parameters
    chain = in_sequence({name: provider for name, provider in providers.items() if name in needed})
    result = copy(handler)  # as Litestar does: one handler may be part of several applications
    result.dependencies = {**(handler.dependencies or {}), **chain}
    return result


def in_sequence(providers: Mapping[str, Provider]) -> dict[str, Provide]:
    """The providers as a chain, in which each is resolved after those before it."""
    chained: dict[str, Provide] = {}
    previous: str | None = None
    for name, provider in providers.items():
        link = provider if previous is None else _after(previous, provider)
        chained[name] = Provide(link) if inspect.iscoroutinefunction(link) else Provide(link, sync_to_thread=False)
        previous = name
    return chained


def _after(previous: str, provider: Provider) -> Provider:
    """The provider with an additional parameter for the previous dependency, which is not passed on to it."""
    signature = inspect.signature(provider)
    if previous in signature.parameters:
        return provider

    def provide(**values: Any) -> Any:
        del values[previous]
        return provider(**values)

    async def provide_async(**values: Any) -> Any:
        del values[previous]
        return await provider(**values)

    chained: Any = provide_async if inspect.iscoroutinefunction(provider) else provide
    added = inspect.Parameter(previous, inspect.Parameter.KEYWORD_ONLY, annotation=Anything)
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in signature.parameters.values()]
    chained.__signature__ = signature.replace(parameters=[*own, added])
    chained.__annotations__ = {**inspect.get_annotations(provider, eval_str=True), previous: Anything}
    return chained  # type: ignore[no-any-return]  # a function with a signature of our own
