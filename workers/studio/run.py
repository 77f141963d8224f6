"""The worker process: `python -m workers.studio`. The only wiring of what lies beside it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import aiohttp
import structlog
from nats.aio.client import Client

from shared.clock import SteadyClock
from shared.http.health import Check, Readiness
from shared.messaging import connect
from shared.messaging.connection import close
from shared.runtime import SettingsError, from_environment
from shared.runtime.delayed_start import wait_for_start
from shared.stopping import stop
from shared.telemetry import configure_logging
from shared.telemetry.metrics import create_registry
from shared.telemetry.tracing import setup_tracing
from workers.kit.addresses import Addresses
from workers.kit.checks import clock_check, lanes_check, nats_check, renderers_check, waiting_for_nats
from workers.kit.intake import Intake
from workers.kit.lane import PULL_SECONDS, Lane
from workers.kit.metrics import WorkerMetrics
from workers.kit.probes import probes
from workers.kit.transfers import Transfers
from workers.studio.attempt import Attempts
from workers.studio.render_pool import RenderPool
from workers.studio.settings import WorkerSettings

log = structlog.get_logger()


async def work(settings: WorkerSettings, stopping: asyncio.Event) -> None:
    """Takes work until `stopping`; then lets what runs end within the grace, and hands the rest back."""
    registry = create_registry()
    metrics = WorkerMetrics(registry)
    lanes: list[Lane] = []
    readiness = Readiness()
    checks = readiness.checks
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(probes(settings.http_host, settings.http_port, readiness, registry))
        log.info("worker_probes", address=f"http://{settings.http_host}:{port}")
        pool = RenderPool(settings.worker_concurrency, seconds=settings.render_seconds)
        stack.callback(pool.close)
        checks["renderers"] = renderers_check(pool)
        session = await stack.enter_async_context(_session())
        client = await _connected(settings, checks, stopping)
        if client is None:
            return
        stack.push_async_callback(close, client)
        addresses = Addresses(settings.public_url, settings.input_hosts.split(","), settings.api_urls.split(","))
        transfers = Transfers(session, addresses, patience=settings.worker_patience, max_bytes=settings.input_max_bytes)
        slots = asyncio.Semaphore(settings.worker_concurrency)
        intake = Intake(
            client, Attempts(pool, transfers, SteadyClock()), slots, metrics, ack_wait=settings.worker_ack_wait
        )
        lanes += [
            Lane(client, service, slots, intake.take, ack_wait=settings.worker_ack_wait)
            for service in settings.services
        ]
        checks["nats"] = nats_check(client)
        checks["lanes"] = lanes_check(lanes)
        readiness.order["clock"] = clock_check(client)
        await pool.warm()
        told_to_stop = await _pull_until(stopping, lanes)
        await intake.finish(told_to_stop + settings.worker_grace)
        log.info("worker_stopped")


def _session() -> aiohttp.ClientSession:
    """Without cookies, which would go from one user's step to another's, and without unpacking what was packed."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "emprops-worker"}
    return aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), headers=headers)


async def _connected(settings: WorkerSettings, checks: dict[str, Check], stopping: asyncio.Event) -> Client | None:
    """The connection, once there is a server; None when the worker is stopped before."""
    checks["nats"] = waiting_for_nats
    connecting = asyncio.create_task(connect(settings.nats_url, settings.service_instance, private=False))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait((connecting, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if connecting.done():
        return connecting.result()
    await stop(connecting)
    return None


async def _pull_until(stopping: asyncio.Event, lanes: Sequence[Lane]) -> float:
    """Runs the lanes, and gives each the time of one pull to end. The loop's time when they were told to stop.

    Raises what a lane raised.
    """
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(lane.run()) for lane in lanes]
    stopped = asyncio.create_task(stopping.wait())
    log.info("worker_started", services=[lane.service for lane in lanes])
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        told_to_stop = asyncio.get_running_loop().time()
        log.info("worker_stopping")
        for lane in lanes:
            lane.stop()
        await asyncio.wait(tasks, timeout=PULL_SECONDS + 0.5)
        for task in tasks:
            if task.done():
                task.result()
        return told_to_stop
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)


async def _run(settings: WorkerSettings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await work(settings, stopping)


def main() -> None:
    """Runs until SIGTERM or SIGINT. Exits with 2 when the environment is wrong."""
    try:
        settings = from_environment(WorkerSettings)
        _ = settings.services
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"worker: {error}\n")
        sys.exit(2)
    wait_for_start()
    configure_logging(service="worker", instance=settings.service_instance, level=settings.log_level)
    # Each rendering process uses one core; a thread pool of numpy's in every one of them would only cost memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    tracing = setup_tracing(service="worker", instance=settings.service_instance)
    try:
        asyncio.run(_run(settings))
    finally:
        if tracing is not None:
            tracing.shutdown()


if __name__ == "__main__":
    main()
