"""A worker as a process: connection, lanes, probes, and an orderly end. The kit's composition root."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import aiohttp
import structlog
from nats.aio.client import Client

from shared.clock import SteadyClock
from shared.http.health import Check, Readiness
from shared.messaging.connection import close, connect
from shared.stopping import stop
from shared.telemetry.metrics import create_registry
from workers.kit.addresses import Addresses
from workers.kit.announcing import Announcer, Models
from workers.kit.checks import clock_check, lanes_check, nats_check, waiting_for_nats
from workers.kit.handlers import Handler
from workers.kit.intake import Intake
from workers.kit.lane import PULL_SECONDS, Lane
from workers.kit.metrics import WorkerMetrics
from workers.kit.probes import probes
from workers.kit.settings import WorkerSettings
from workers.kit.transfers import Transfers

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[None]]
"""What a worker needs around its handlers: entered before the first step is taken, left after the last."""

log = structlog.get_logger()


async def serve(
    name: str,
    version: str,
    instance: str,
    handlers: Mapping[str, Handler],
    settings: WorkerSettings,
    lifespan: Lifespan,
    checks: Mapping[str, Check],
    models: Models,
    stopping: asyncio.Event,
) -> None:
    """Takes work until `stopping`; then lets running steps end within the grace, and hands the others back.

    `handlers` by kind. `checks` of the worker's own join those of readiness.
    """
    registry = create_registry()
    metrics = WorkerMetrics(registry)
    readiness = Readiness(dict(checks))
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(probes(settings.http_host, settings.http_port, readiness, registry))
        log.info("worker_probes", address=f"http://{settings.http_host}:{port}")
        session = await stack.enter_async_context(_session())
        readiness.checks["nats"] = waiting_for_nats
        client = await _connected(settings.nats_url, instance, stopping)
        if client is None:
            return
        stack.push_async_callback(close, client)
        slots = asyncio.Semaphore(settings.worker_concurrency)
        intake = _intake(client, session, handlers, slots, metrics, settings)
        lanes = [
            Lane(client, kind, slots, intake.take, intake.cancel, ack_wait=settings.worker_ack_wait)
            for kind in handlers
        ]
        readiness.checks["nats"] = nats_check(client)
        readiness.checks["lanes"] = lanes_check(lanes)
        readiness.order["clock"] = clock_check(client, lanes[0].kind)
        await stack.enter_async_context(lifespan())
        announcer = Announcer(
            client,
            instance,
            name,
            version,
            lanes,
            intake.in_progress,
            concurrency=settings.worker_concurrency,
            models=models,
        )
        async with _running(announcer.run()):
            stopped_at = await _pull_until(stopping, lanes)
        await intake.finish(stopped_at + settings.worker_grace)
        log.info("worker_stopped")


def _intake(
    client: Client,
    session: aiohttp.ClientSession,
    handlers: Mapping[str, Handler],
    slots: asyncio.Semaphore,
    metrics: WorkerMetrics,
    settings: WorkerSettings,
) -> Intake:
    addresses = Addresses(settings.public_url, settings.input_hosts.split(","), settings.api_urls.split(","))
    files = Transfers(session, addresses, patience=settings.worker_patience, max_bytes=settings.input_max_bytes)
    return Intake(
        client,
        handlers,
        files,
        slots,
        metrics,
        ack_wait=settings.worker_ack_wait,
        patience=settings.worker_patience,
        clock=SteadyClock(),
    )


def _session() -> aiohttp.ClientSession:
    """A session without cookies, which would be sent for another user's step, and without decompression."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "emprops-worker"}
    return aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), headers=headers)


async def _connected(nats_url: str, instance: str, stopping: asyncio.Event) -> Client | None:
    """The connection, once there is a server; None when the worker is stopped before."""
    connecting = asyncio.create_task(connect(nats_url, instance))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait((connecting, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if connecting.done():
        return connecting.result()
    await stop(connecting)
    return None


@contextlib.asynccontextmanager
async def _running(loop: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs a loop beside a block."""
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        await stop(task)


async def _pull_until(stopping: asyncio.Event, lanes: Sequence[Lane]) -> float:
    """Runs the lanes until `stopping`. Returns the loop's time of that moment, after the last pulls have ended.

    Raises what a lane raised.
    """
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(lane.run()) for lane in lanes]
    stopped = asyncio.create_task(stopping.wait())
    log.info("worker_started", services=[lane.kind for lane in lanes])
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped_at = asyncio.get_running_loop().time()
        log.info("worker_stopping")
        for lane in lanes:
            lane.stop()
        await asyncio.wait(tasks, timeout=PULL_SECONDS + 0.5)
        for task in tasks:
            if task.done():
                task.result()
        return stopped_at
    finally:
        await stop(*tasks, stopped)
