"""Dependencies that are resolved one after the other, and for each handler only those that it takes.

Litestar resolves those that don't depend on each other in a task group, a task for each: that costs more than the rest
of a request does, and ours have nothing to wait for. So each is made to depend on the one before it; and since it would
be resolved for those behind it too, each handler has a chain of its own.
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


def given_what_it_takes(handler: ControllerRouterHandler, providers: Mapping[str, Provider]) -> ControllerRouterHandler:
    """The handler with the dependencies that it takes, and with those that these take; a router has them all."""
    if isinstance(handler, Router):
        return Router("/", route_handlers=[handler], dependencies=in_sequence(providers))
    if not isinstance(handler, HTTPRouteHandler):
        return handler
    wanted, looked_at = list(inspect.signature(handler.fn).parameters), set[str]()
    while wanted:
        name = wanted.pop()
        if name in providers and name not in looked_at:
            looked_at.add(name)
            wanted += inspect.signature(providers[name]).parameters
    taken = {name: provider for name, provider in providers.items() if name in looked_at}
    made = copy(handler)  # as Litestar does: one handler may be part of several applications
    made.dependencies = {**(handler.dependencies or {}), **in_sequence(taken)}
    return made


def in_sequence(providers: Mapping[str, Provider]) -> dict[str, Provide]:
    """Each is resolved after those before it, so what may refuse a request comes last."""
    chained: dict[str, Provide] = {}
    previous: str | None = None
    for name, provider in providers.items():
        made = provider if previous is None else _after(previous, provider)
        chained[name] = Provide(made) if inspect.iscoroutinefunction(made) else Provide(made, sync_to_thread=False)
        previous = name
    return chained


def _after(previous: str, provider: Provider) -> Provider:
    """The provider with one parameter more, which it is called without."""
    signature = inspect.signature(provider)
    if previous in signature.parameters:
        return provider

    def provide(**given: Any) -> Any:
        del given[previous]
        return provider(**given)

    async def provide_later(**given: Any) -> Any:
        del given[previous]
        return await provider(**given)

    chained: Any = provide_later if inspect.iscoroutinefunction(provider) else provide
    added = inspect.Parameter(previous, inspect.Parameter.KEYWORD_ONLY, annotation=Anything)
    kept = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in signature.parameters.values()]
    chained.__signature__ = signature.replace(parameters=[*kept, added])
    chained.__annotations__ = {**inspect.get_annotations(provider, eval_str=True), previous: Anything}
    return chained  # type: ignore[no-any-return]  # a function with a signature of our own
