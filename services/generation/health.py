"""What operators see of the engine: readiness in words, and gauges."""

from typing import LiteralString

from prometheus_client import Gauge

from services.generation.broker import Broker
from services.generation.processes.watchdog import Watchdog
from services.generation.results import ResultsIntake
from shared.http import NotReady
from shared.runtime import Runtime

WAITING: LiteralString = """
select (select count(*) from jobs_v1 where status = 'pending' and created_at < clock_timestamp() - interval '1 minute'),
       (select count(*) from open_steps_v1)"""


def report(runtime: Runtime, broker: Broker, intake: ResultsIntake, watchdog: Watchdog) -> None:
    gauges = {
        "generation_results_taken": ("Results taken in since the start", lambda: intake.taken),
        "generation_steps_sent_again": ("Steps that the work queue had lost, since the start", lambda: watchdog.resent),
        "generation_steps_lost": ("Attempts past their deadline, since the start", lambda: watchdog.lost),
    }
    for name, (text, value) in gauges.items():
        Gauge(name, text, registry=runtime.registry).set_function(value)
    open_steps = Gauge("generation_open_steps", "Steps that wait for a result", registry=runtime.registry)
    without_verdict = Gauge(
        "generation_jobs_without_verdict",
        "Jobs for which credits has not answered in a minute",
        registry=runtime.registry,
    )

    async def engine() -> str | None:
        if not broker.is_connected():
            raise NotReady("NATS can't be reached: no work goes out, and no results come in")
        async with runtime.store.reader() as cursor:
            await cursor.execute(WAITING)
            row = await cursor.fetchone()
        pending, steps = row if row is not None else (0, 0)
        without_verdict.set(pending)
        open_steps.set(steps)
        return f"{steps} steps wait for results, {pending} jobs wait for credits since more than a minute"

    runtime.checks["engine"] = engine
