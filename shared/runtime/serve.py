"""Runs a service: everything in one process and one event loop, until it is told to stop."""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
import uvicorn
import uvloop
from litestar import Litestar
from litestar.di import Provide
from prometheus_client import Gauge

from shared.http import Authenticator, Issuer, NotReady, configure_logging, create_app
from shared.http.health import Check
from shared.http.idempotency import command_contexts
from shared.http.tracing import setup_tracing
from shared.messaging import ConsumerRunner, Relay
from shared.processes import ProcessRunner
from shared.runtime.service import Build, Parts, Runtime, ServiceDefinition, opened
from shared.runtime.settings import ServiceSettings, SettingsError, from_environment
from shared.stopping import stop

GRACE = 5
"""Seconds that open requests get to end when the service stops."""

S = TypeVar("S", bound=ServiceSettings)
Loop = Callable[[], Awaitable[None]]

log = structlog.get_logger()


@dataclass
class Running:
    """A service that runs: its frame, its parts, its HTTP application, and the task that all its loops are in."""

    runtime: Runtime
    parts: Parts
    app: Litestar
    loops: asyncio.Task[None]


@contextlib.asynccontextmanager
async def running(definition: ServiceDefinition, settings: ServiceSettings, build: Build) -> AsyncIterator[Running]:
    """Everything but the HTTP server: loops run until the block ends."""
    async with opened(definition, settings) as runtime:
        parts = await build(runtime)
        relay = Relay(runtime.store, definition.name, settings.nats_url)
        consumers = [ConsumerRunner(runtime.store, each, settings.nats_url) for each in parts.consumers]
        processes = [ProcessRunner(runtime.store, each, definition.name) for each in parts.processes]
        _report(runtime, relay, consumers, processes)
        user_issuer = Issuer(settings.auth_issuer, settings.auth_jwks_url, frozenset({"user", "operator"}))
        app = create_app(
            title=f"emprops {definition.name}",
            route_handlers=parts.route_handlers,
            authenticator=Authenticator([user_issuer, *parts.issuers], settings.auth_audience),
            readiness=runtime.checks,
            registry=runtime.registry,
            dependencies={"context": Provide(command_contexts(runtime.store)), **parts.dependencies},
            max_body_bytes=parts.max_body_bytes,
        )
        loops: list[Loop] = [runtime.projector.run, relay.run, *parts.background]
        loops += [each.run for each in consumers] + [each.run for each in processes]
        task = asyncio.create_task(_all(loops))
        try:
            yield Running(runtime, parts, app, task)
        finally:
            await stop(task)


async def _all(loops: Sequence[Loop]) -> None:
    """Until cancelled, or until one of them breaks: then the others stop, and what it raised is raised here."""
    tasks = [asyncio.create_task(_until_cancelled(loop)) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            await task
    finally:
        await stop(*tasks)


async def _until_cancelled(loop: Loop) -> None:
    await loop()
    raise RuntimeError(f"{loop} ended although nobody stopped it")


def _report(
    runtime: Runtime, relay: Relay, consumers: Sequence[ConsumerRunner], processes: Sequence[ProcessRunner]
) -> None:
    """Readiness checks and gauges of the frame's own loops."""
    store = runtime.store

    async def postgresql() -> str | None:
        return f"position {await store.head()}"

    runtime.checks["postgresql"] = postgresql
    runtime.checks["projections"] = _projection_check(runtime)
    runtime.checks["relay"] = _relay_check(runtime, relay)
    if consumers:
        runtime.checks["consumers"] = _consumer_check(runtime, consumers)
    if processes:
        runtime.checks["processes"] = _process_check(runtime, processes)


def _projection_check(runtime: Runtime) -> Check:
    behind = Gauge(
        "projection_lag_events", "Events that a read table has not seen", ("projection",), registry=runtime.registry
    )

    async def projections() -> str | None:
        tables = await runtime.projector.progress()
        for each in tables:
            behind.labels(each.name.removeprefix("projection ")).set(each.waiting)
        if trouble := [sentence for each in tables if (sentence := each.stuck())]:
            raise NotReady("; ".join(trouble))
        return ", ".join(f"{each.name}: {each.waiting} events, {each.waiting_seconds:.3f} s behind" for each in tables)

    return projections


def _relay_check(runtime: Runtime, relay: Relay) -> Check:
    behind = Gauge("relay_lag_events", "Events that are not published yet", registry=runtime.registry)

    async def relaying() -> str | None:
        lag = await relay.lag()
        behind.set(lag.events)
        return f"{lag.events} events, {lag.seconds:.3f} s behind"

    return relaying


def _consumer_check(runtime: Runtime, consumers: Sequence[ConsumerRunner]) -> Check:
    parked = Gauge(
        "parked_events", "Events that need an operator, and those behind", ("consumer",), registry=runtime.registry
    )

    async def consuming() -> str | None:
        said = []
        for each in consumers:
            lag = await each.lag()
            parked.labels(each.consumer.name).set(lag.parked + lag.waiting)
            said.append(f"{each.consumer.name}: {lag.pending} pending, {lag.parked} parked, {lag.waiting} behind those")
        return "; ".join(said)

    return consuming


def _process_check(runtime: Runtime, processes: Sequence[ProcessRunner]) -> Check:
    behind = Gauge("process_lag_events", "Events before a process", ("process",), registry=runtime.registry)

    async def processing() -> str | None:
        said = []
        for each in processes:
            lag = await each.lag()
            behind.labels(each.process.name).set(lag)
            said.append(f"{each.process.name}: {lag} behind" + (f", failing: {each.failing}" if each.failing else ""))
        return "; ".join(said)

    return processing


async def serve(definition: ServiceDefinition, settings: ServiceSettings, build: Build) -> None:
    """Serves until SIGTERM or SIGINT. Raises when one of the service's loops breaks, so that it is started again."""
    async with running(definition, settings, build) as service:
        config = uvicorn.Config(
            service.app,
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            lifespan="on",
        )
        server = uvicorn.Server(config)
        http = asyncio.create_task(server.serve())
        await asyncio.wait((http, service.loops), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await http
        if service.loops.done():
            await service.loops


def main(definition: ServiceDefinition, settings: type[S], build: Build, argv: Sequence[str] | None = None) -> None:
    """`python -m services.<name> serve`."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{definition.name}")
    parser.add_argument("command", choices=["serve"], help="serve: run the service until SIGTERM")
    parser.parse_args(argv)
    try:
        chosen = from_environment(settings)
    except SettingsError as error:
        raise SystemExit(f"{definition.name}: {error}") from error
    run_service(definition, chosen, build)


def run_service(definition: ServiceDefinition, settings: ServiceSettings, build: Build) -> None:
    """Logging, tracing and the event loop around `serve`."""
    configure_logging(service=definition.name, instance=settings.service_instance, level=settings.log_level)
    tracing = setup_tracing(service=definition.name, instance=settings.service_instance)
    try:
        uvloop.run(serve(definition, settings, build))
    finally:
        if tracing:
            tracing.shutdown()
