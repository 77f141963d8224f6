"""One attempt at one step: read its inputs, render, upload, and say how it went."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from shared.contracts.generation import Output, StepError
from shared.contracts.work import WorkMessage, WorkResult
from workers.kit.faults import StepFault, lasting, passing
from workers.kit.progress import Reporter
from workers.kit.transfers import Transfers
from workers.studio.render_pool import RenderPool
from workers.studio.renderers import RENDERERS

log = structlog.get_logger()


def deadline_of(work: WorkMessage) -> datetime:
    """Raises ValueError for one that is no time of RFC 3339."""
    deadline = datetime.fromisoformat(work.deadline)
    return deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC)


def seconds_left(work: WorkMessage, now: datetime) -> float:
    """How long an attempt that begins now may take.

    As long as was sent along, whatever our clock says: the sender's may be another, and it alone decides what is late.
    """
    return (deadline_of(work) - now).total_seconds() if work.seconds is None else work.seconds


def failed(work: WorkMessage, error: StepError) -> WorkResult:
    return WorkResult(work.job_id, work.gid, work.sid, work.attempt, "failed", error=error)


class Attempts:
    def __init__(
        self, pool: RenderPool, transfers: Transfers, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._pool, self._transfers, self._clock = pool, transfers, clock

    async def run(self, work: WorkMessage, reporter: Reporter) -> WorkResult:
        """The attempt's one result, whatever happens; after its deadline nothing is begun, and nothing goes on."""
        late = passing("DEADLINE_EXCEEDED", "The step's deadline passed before it was done").error
        remaining = seconds_left(work, self._clock())
        if remaining <= 0:
            return failed(work, late)
        try:
            async with asyncio.timeout(remaining):
                outputs = await self._outputs(work, reporter)
        except TimeoutError:
            return failed(work, late)
        except StepFault as fault:
            return failed(work, fault.error)
        except Exception as error:
            log.exception("step_failed_unexpectedly")
            return failed(work, lasting("WORKER_FAULT", f"The worker itself failed ({type(error).__name__})").error)
        return WorkResult(work.job_id, work.gid, work.sid, work.attempt, "completed", outputs)

    async def _outputs(self, work: WorkMessage, reporter: Reporter) -> list[Output]:
        renderer = RENDERERS.get(work.service_required)
        if renderer is None:
            raise lasting("WORKFLOW_NOT_EXECUTABLE", f"this worker does not offer {work.service_required}")
        await reporter.say(0.0, f"{work.service_required} started")
        grant = work.context.upload
        inputs = {
            field: await self._transfers.download(field, work.payload.get(field), grant, work.traceparent)
            for field in renderer.files
        }
        await reporter.say(0.2, "rendering")
        rendered = await self._pool.render(work.service_required, work.context.hash, work.payload, inputs)
        if rendered.kind == "text":
            output = Output(kind="text", text=rendered.text)
        else:
            await reporter.say(0.8, "storing")
            output = await self._transfers.upload(rendered, grant, work.traceparent)
        await reporter.say(1.0, f"{work.service_required} done")
        return [output]
