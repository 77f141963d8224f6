"""The elements of a service: its definition, its runtime (store, read tables, clock), and the parts that it adds."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from litestar.types import ControllerRouterHandler
from prometheus_client import CollectorRegistry

from shared.backoff import Backoff
from shared.clock import SteadyClock
from shared.contracts.event import Event
from shared.contracts.language import Upcaster
from shared.eventstore import Codec, Decider, EventStore, Schema
from shared.eventstore.migrate import migrate
from shared.eventstore.store import SCHEMA as STORE
from shared.handling.parking import SCHEMA as MESSAGING
from shared.http.health import Check, Readiness
from shared.http.jwks import Issuer
from shared.messaging import Consumer
from shared.messaging.arrivals import Arrivals
from shared.processes import Process
from shared.projections import Projection, Projector
from shared.projections.leader import REST
from shared.projections.projector import SCHEMA as PROJECTIONS
from shared.runtime.history import ServiceHistory
from shared.runtime.settings import ServiceSettings
from shared.telemetry.metrics import create_registry


@dataclass(frozen=True)
class ServiceDefinition:
    """A service without its running parts: events, deciders, read tables and migrations, which the CLI uses, too."""

    name: str
    events: tuple[type[Event], ...]
    deciders: tuple[Decider[Any], ...]
    projections: tuple[Projection[Any], ...] = ()
    tables_rest: float = REST
    """Seconds between two transactions of the read tables while no request waits for them; 0 if streams follow them."""
    migrations: Path | None = None
    """Folder of the service's own numbered SQL files, if it has any."""
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)
    """Those of the published language: other services read with them, too."""

    def codec(self) -> Codec:
        """Reads and writes the events of the service, in all stored versions."""
        return Codec(self.events, upcasters=self.upcasters)

    def schemas(self) -> list[Schema]:
        """The schemas of its database, without its read tables."""
        own = [Schema(self.name, self.migrations)] if self.migrations else []
        return [STORE, MESSAGING, PROJECTIONS, *own]


@dataclass
class Runtime:
    """What a service's parts are built from. It has the clock and makes ids, so that tests can replace both."""

    definition: ServiceDefinition
    settings: ServiceSettings
    store: EventStore
    projector: Projector
    history: ServiceHistory
    """How far its history and read tables have come, and those of the services that it follows."""
    registry: CollectorRegistry = field(default_factory=create_registry)
    readiness: Readiness = field(default_factory=Readiness)
    clock: Callable[[], datetime] = field(default_factory=SteadyClock)
    new_id: Callable[[], UUID] = uuid4

    @property
    def checks(self) -> dict[str, Check]:
        """What this service can't serve without, by name."""
        return self.readiness.checks

    @property
    def order(self) -> dict[str, Check]:
        """Checks whose failure is reported though requests can be served, by name."""
        return self.readiness.order


@dataclass
class Parts:
    """What a service adds to its runtime."""

    route_handlers: Sequence[ControllerRouterHandler] = ()
    consumers: Sequence[Consumer] = ()
    processes: Sequence[Process] = ()
    background: Sequence[Callable[[], Awaitable[None]]] = ()
    """Loops of the service's own, run until the service stops; one that ends or raises ends the service."""
    dependencies: dict[str, object] = field(default_factory=dict)
    """The service's own objects, by the parameter names of its route handlers."""
    providers: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Functions that make further ones for each request."""
    issuers: Sequence[Issuer] = ()
    """Issuers of tokens beside the users' own, such as that of upload grants."""
    max_body_bytes: int = 1024 * 1024


Build = Callable[[Runtime], Awaitable[Parts]]


@contextlib.asynccontextmanager
async def opened(definition: ServiceDefinition, settings: ServiceSettings) -> AsyncIterator[Runtime]:
    """The store and its read tables, migrated and open. Waits for PostgreSQL without a bound."""
    await _until_migrated(definition, settings)
    async with EventStore.open(settings.database_url, definition.codec(), instance=settings.service_instance) as store:
        projector = Projector(
            store,
            definition.projections,
            instance=settings.service_instance,
            release=version("emprops"),
            rest=definition.tables_rest,
        )
        await projector.prepare()
        arrivals = Arrivals(definition.name, settings.nats_url, store.watermarks)
        yield Runtime(
            definition, settings, store, projector, ServiceHistory(definition.name, store, projector, arrivals)
        )


async def _until_migrated(definition: ServiceDefinition, settings: ServiceSettings) -> None:
    backoff = Backoff("migrations", on=(psycopg.OperationalError, OSError))
    await backoff.call(lambda: migrate(settings.database_url, *definition.schemas()))
