"""What operators see of the engine: whether work goes out and comes back, what waits for too long, and gauges."""

from typing import LiteralString

from prometheus_client import Gauge

from services.generation.broker import Broker
from services.generation.engine.results_intake import ResultsIntake
from services.generation.engine.watchdog import Watchdog
from shared.eventstore import EventStore
from shared.http import NotReady
from shared.progress import Progress
from shared.runtime import Runtime

VERDICT_SECONDS = 60.0
"""Credits answers in milliseconds; a job that waits longer, waits for something that is not there."""
DEADLINE_SLACK = 60.0
"""The watchdog looks at overdue attempts every few seconds: one that is overdue by so much, nobody looks at."""

JOBS_WITHOUT_VERDICT: LiteralString = """
select count(*), extract(epoch from clock_timestamp() - min(created_at))::float8,
       (select job_id::text from jobs_v2 where status = 'pending' order by created_at limit 1)
from jobs_v2 where status = 'pending' and created_at < clock_timestamp() - make_interval(secs => %b::float8)"""
OVERDUE_ATTEMPTS: LiteralString = """
select count(*), extract(epoch from clock_timestamp() - min(ready_at))::float8,
       (select sid::text from open_steps_v1 order by ready_at limit 1)
from open_steps_v1 where ready_at < clock_timestamp() - make_interval(secs => %b::float8)"""
COUNT_OF_OPEN_STEPS: LiteralString = "select count(*) from open_steps_v1"


class Engine:
    """Jobs without a verdict and attempts past their deadline: only those that wait too long are counted."""

    def __init__(self, store: EventStore, step_deadline: float) -> None:
        self._store, self._step_deadline = store, step_deadline

    async def progress(self) -> list[Progress]:
        [(jobs, since, job)] = await self._store.pool.rows(JOBS_WITHOUT_VERDICT, (VERDICT_SECONDS,))
        [(steps, late, step)] = await self._store.pool.rows(OVERDUE_ATTEMPTS, (self._step_deadline + DEADLINE_SLACK,))
        return [
            Progress(
                name="jobs that wait for credits",
                waiting=jobs,
                waiting_seconds=since or 0.0,
                event=f"job {job}" if jobs else None,
            ),
            Progress(
                name="attempts past their deadline",
                waiting=steps,
                waiting_seconds=late or 0.0,
                event=f"step {step}" if steps else None,
            ),
        ]


def report(
    runtime: Runtime, broker: Broker, intake: ResultsIntake, watchdog: Watchdog, *, step_deadline: float
) -> None:
    gauges = {
        "generation_results_taken": ("Results taken in since the start", lambda: intake.taken),
        "generation_steps_sent_again": ("Steps that the work queue had lost, since the start", lambda: watchdog.resent),
        "generation_steps_lost": ("Attempts past their deadline, since the start", lambda: watchdog.lost),
    }
    for name, (text, value) in gauges.items():
        Gauge(name, text, registry=runtime.registry).set_function(value)
    open_steps = Gauge("generation_open_steps", "Steps that wait for a result", registry=runtime.registry)

    async def engine() -> str | None:
        if not broker.is_connected():
            raise NotReady("NATS can't be reached: no work goes out, and no results come in")
        return None

    async def steps() -> str | None:
        [(count,)] = await runtime.store.pool.rows(COUNT_OF_OPEN_STEPS, ())
        open_steps.set(count)
        return f"{count} steps wait for results"

    runtime.checks["engine"] = engine
    runtime.order["steps"] = steps
    runtime.readiness.followers["results"] = intake
    runtime.readiness.followers["engine's watch"] = Engine(runtime.store, step_deadline)
