"""Readiness checks and metrics of the engine, and progress of jobs and attempts that wait too long."""

import asyncio

from prometheus_client import Gauge

from services.generation.engine.dispatch.dispatch_queue import DispatchQueue
from services.generation.engine.dispatch.watchdog import Watchdog
from services.generation.engine.intake.results_intake import ResultsIntake
from services.generation.projections.jobs import count_long_pending
from services.generation.projections.open_steps import OpenSteps
from services.generation.workers.broker import Broker
from services.generation.workers.connected_workers import SILENT_SECONDS, ConnectedWorkers
from shared.contracts.work import WAIT_SHARE
from shared.eventstore import EventStore
from shared.http import NotReady
from shared.progress import Progress
from shared.runtime import Runtime

MAX_PENDING = 60.0
"""Seconds. Credits decides in milliseconds; a job that is pending for longer waits because a service is down."""
DEADLINE_SLACK = 180.0
"""Seconds. The watchdog fails overdue attempts every few seconds; with a longer delay, no watchdog runs."""


class StuckWork:
    """Jobs that wait too long for credits, and attempts that workers do for longer than they may."""

    def __init__(self, store: EventStore, workers: ConnectedWorkers, step_deadline: float) -> None:
        self._store, self._workers, self._step_deadline = store, workers, step_deadline

    async def progress(self) -> list[Progress]:
        jobs, pending_seconds, job_id = await count_long_pending(self._store, MAX_PENDING)
        now, longest = asyncio.get_running_loop().time(), (1 + WAIT_SHARE) * self._step_deadline + DEADLINE_SLACK
        overdue = {
            now - sighting.first: sid
            for (sid, _), sighting in self._workers.sightings().items()
            if now - sighting.first > longest and now - sighting.last <= SILENT_SECONDS
        }
        return [
            Progress(
                name="jobs that wait for credits",
                waiting=jobs,
                waiting_seconds=pending_seconds,
                event=f"job {job_id}" if jobs else None,
            ),
            Progress(
                name="attempts past their deadline",
                waiting=len(overdue),
                waiting_seconds=max(overdue, default=0.0),
                event=f"step {overdue[max(overdue)]}" if overdue else None,
            ),
        ]


def add_health_checks(
    runtime: Runtime,
    broker: Broker,
    intake: ResultsIntake,
    watchdog: Watchdog,
    queue: DispatchQueue,
    workers: ConnectedWorkers,
    *,
    step_deadline: float,
) -> None:
    gauges = {
        "generation_results_taken": ("Results taken in since the start", lambda: intake.taken),
        "generation_steps_sent_again": ("Steps that the work queue had lost, since the start", lambda: queue.resent),
        "generation_steps_lost": ("Attempts that were lost at workers, since the start", lambda: watchdog.lost),
    }
    for name, (text, value) in gauges.items():
        Gauge(name, text, registry=runtime.registry).set_function(value)
    open_steps = Gauge("generation_open_steps", "Steps that wait for a result", registry=runtime.registry)

    async def engine() -> str | None:
        if not broker.is_connected():
            raise NotReady("NATS can't be reached: no work goes out, and no results come in")
        return None

    async def steps() -> str | None:
        count = await OpenSteps(runtime.store).count()
        open_steps.set(count)
        return f"{count} steps wait for results"

    runtime.checks["engine"] = engine
    runtime.order["steps"] = steps
    runtime.readiness.followers["results"] = intake
    runtime.readiness.followers["engine's watch"] = StuckWork(runtime.store, workers, step_deadline)
