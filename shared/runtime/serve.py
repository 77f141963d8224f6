"""Runs a service in one process and one event loop, until SIGTERM or SIGINT."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import uvicorn
import uvloop
from litestar import Litestar

from shared.garbage_collection import collect_for_serving
from shared.http import Authenticator, Issuer, create_app
from shared.http.coalesced_writes import HttpProtocol
from shared.http.idempotency import command_contexts
from shared.http.server import Server
from shared.messaging import ConsumerRunner, Relay, StreamLimits
from shared.processes import ProcessRunner
from shared.runtime.core_tasks import EXIT_CODE, CoreTaskEnded, exit_after_timeout, until_one_ends
from shared.runtime.delayed_start import wait_for_start
from shared.runtime.health import (
    NatsProbe,
    clock_check,
    followers,
    history_check,
    measured,
    postgresql_check,
    stream_check,
    writer_check,
)
from shared.runtime.service import Build, Parts, Runtime, ServiceDefinition, opened
from shared.runtime.settings import ServiceSettings, SettingsError, from_environment
from shared.stopping import stop
from shared.telemetry import configure_logging
from shared.telemetry.tracing import setup_tracing

GRACE = 5
"""Seconds that open requests get to end when the service stops."""

S = TypeVar("S", bound=ServiceSettings)
Loop = Callable[[], Awaitable[None]]


@dataclass
class Running:
    """A running service: its runtime, its parts, its HTTP application, and its loops."""

    runtime: Runtime
    parts: Parts
    app: Litestar
    loops: Mapping[str, asyncio.Future[None]]
    core: asyncio.Task[NoReturn]
    """Raises CoreTaskEnded when a loop of the service or of its store ends."""


@contextlib.asynccontextmanager
async def running(definition: ServiceDefinition, settings: ServiceSettings, build: Build) -> AsyncIterator[Running]:
    """A service without its HTTP server: its loops run until the block ends."""
    async with opened(definition, settings) as runtime:
        parts = await build(runtime)
        runtime.history.arrivals.watch(parts.consumers)
        store, nats_url, instance = runtime.store, settings.nats_url, settings.service_instance
        limits = StreamLimits(
            settings.nats_stream_max_age, settings.nats_stream_max_bytes, settings.nats_stream_replicas
        )
        relay = Relay(store, definition.name, nats_url, limits=limits, instance=instance)
        consumers = [ConsumerRunner(store, consumer, nats_url, instance=instance) for consumer in parts.consumers]
        processes = [ProcessRunner(store, process, definition.name, instance=instance) for process in parts.processes]
        probe = NatsProbe(settings.nats_url, f"{definition.name}-health")
        runtime.checks["postgresql"] = postgresql_check(runtime.store)
        runtime.checks["history"] = history_check(runtime.store)
        runtime.checks["writer"] = writer_check(runtime.store)
        runtime.checks["nats"] = probe.check
        runtime.order["stream"] = stream_check(runtime.store, definition.name)
        runtime.order["clock"] = clock_check(runtime.store)
        followed = runtime.readiness.followers | followers(runtime.projector, relay, consumers, processes)
        runtime.readiness.followers.update(measured(followed, runtime.registry))
        user_issuer = Issuer(settings.auth_issuer, settings.auth_jwks_url, frozenset({"user", "operator"}))
        app = create_app(
            title=f"emprops {definition.name}",
            route_handlers=parts.route_handlers,
            authenticator=Authenticator([user_issuer, *parts.issuers], settings.auth_audience),
            readiness=runtime.readiness,
            registry=runtime.registry,
            dependencies=parts.dependencies,
            providers=parts.providers,
            context=command_contexts(runtime.store),
            max_body_bytes=parts.max_body_bytes,
            history=runtime.history,
        )
        loops: dict[str, Loop] = {
            "projections": runtime.projector.run,
            "relay": relay.run,
            "arrivals": runtime.history.arrivals.run,
            **{f"consumer {runner.consumer.name}": runner.run for runner in consumers},
            **{f"process {runner.process.name}": runner.run for runner in processes},
            **_by_name(parts.background),
        }
        tasks = {name: asyncio.ensure_future(loop()) for name, loop in loops.items()}
        core = asyncio.create_task(until_one_ends({**runtime.store.tasks, **tasks}))
        try:
            yield Running(runtime, parts, app, tasks, core)
        finally:
            await stop(core, *tasks.values())
            await probe.close()


def _by_name(loops: Sequence[Loop]) -> dict[str, Loop]:
    """The loops by their qualified names; a repeated name gets a number."""
    by_name: dict[str, Loop] = {}
    for loop in loops:
        name = getattr(loop, "__qualname__", repr(loop))
        by_name[name if name not in by_name else f"{name} {len(by_name)}"] = loop
    return by_name


async def serve(definition: ServiceDefinition, settings: ServiceSettings, build: Build) -> None:
    """Serves until SIGTERM or SIGINT. Raises when one of the service's loops breaks, so that it is started again."""
    async with running(definition, settings, build) as service:
        config = uvicorn.Config(
            service.app,
            host=settings.http_host,
            port=settings.http_port,
            http=HttpProtocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            lifespan="on",
        )
        server = Server(config)
        http = asyncio.create_task(server.serve())
        await asyncio.wait((http, service.core), return_when=asyncio.FIRST_COMPLETED)
        if service.core.done():
            exit_after_timeout()
        server.stop()
        await http
        if service.core.done():
            await service.core


def main(definition: ServiceDefinition, settings: type[S], build: Build, argv: Sequence[str] | None = None) -> None:
    """`python -m services.<name> serve`."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{definition.name}")
    parser.add_argument("command", choices=["serve"], help="serve: run the service until SIGTERM")
    parser.parse_args(argv)
    try:
        values = from_environment(settings)
    except SettingsError as error:
        raise SystemExit(f"{definition.name}: {error}") from error
    wait_for_start()
    run_service(definition, values, build)


def run_service(definition: ServiceDefinition, settings: ServiceSettings, build: Build) -> None:
    """Sets up logging and tracing, and runs `serve`. Exits with EXIT_CODE if a core task ends."""
    configure_logging(service=definition.name, instance=settings.service_instance, level=settings.log_level)
    tracing = setup_tracing(service=definition.name, instance=settings.service_instance)
    collect_for_serving()
    try:
        uvloop.run(serve(definition, settings, build))
    except CoreTaskEnded:
        sys.exit(EXIT_CODE)  # logged already
    finally:
        if tracing:
            tracing.shutdown()
