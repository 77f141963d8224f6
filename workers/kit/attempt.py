"""One attempt at one step: the handler's call within its time, and the attempt's one result, whatever happens."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from shared.contracts.generation import Output, StepError
from shared.contracts.work import CANCELLED, WorkMessage, WorkResult
from workers.kit.faults import StepFault, permanent, transient
from workers.kit.handlers import Call, Handler
from workers.kit.step import CheckpointStore, FileTransfers, ProgressReporter, Step

CLEANUP_SECONDS = 5.0
"""How long a stopped handler may take to end before its result is sent without it."""

LEAST_REST = 0.05
"""Seconds until a deadline that is not over is looked at again."""

log = structlog.get_logger()


def deadline_of(work: WorkMessage) -> datetime:
    """The end of the upload grant, by the sender's clock. Raises ValueError if it is not a time of RFC 3339."""
    deadline = datetime.fromisoformat(work.deadline)
    return deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC)


def seconds_left(work: WorkMessage, now: datetime) -> float:
    """How long an attempt that begins now may take.

    The message's own `seconds` if it has them, whatever this clock shows: the sender's clock may differ, and it alone
    decides what is late.
    """
    return (deadline_of(work) - now).total_seconds() if work.seconds is None else work.seconds


class Attempt:
    """Runs a handler once. `now`: the time when the attempt begins."""

    def __init__(
        self,
        handler: Handler,
        work: WorkMessage,
        files: FileTransfers,
        reporter: ProgressReporter,
        checkpoints: CheckpointStore,
        *,
        patience: float,
        now: datetime,
    ) -> None:
        self._work, self._reporter = work, reporter
        self._seconds = seconds_left(work, now)
        self.step = Step(work, files, reporter, checkpoints, patience=patience, seconds=self._seconds)
        self._call = Call(handler, self.step)
        self._is_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[list[Output]] | None = None
        self._timer: asyncio.TimerHandle

    def cancel(self) -> None:
        """Stops the handler, and makes the result `failed` with CANCELLED, unless the handler has just ended."""
        self.step.stop("cancelled")
        self._end()

    def _end(self) -> None:
        if not self._is_over.done():
            self._is_over.set_result(None)

    async def run(self) -> WorkResult:
        """The attempt's result. When cancelled itself, because the worker ends, it stops the handler and raises."""
        if self._seconds <= 0:
            return self._failed(_late())
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._outputs())
        self._task.add_done_callback(lambda _: self._end())
        self._timer = loop.call_later(self._seconds, self._look_at_deadline)
        try:
            await self._is_over
            if not self._task.done():
                await self._end_handler("deadline")
        except asyncio.CancelledError:
            await self._end_handler("shutdown")
            raise
        finally:
            self._timer.cancel()
        return self._result(self._task)

    def _look_at_deadline(self) -> None:
        """Ends the attempt, unless some of its time did not count: then it looks again when the rest is over."""
        if (rest := self.step.seconds_left) > 0:
            self._timer = asyncio.get_running_loop().call_later(max(rest, LEAST_REST), self._look_at_deadline)
        else:
            self._end()

    async def _outputs(self) -> list[Output]:
        service = self._work.service_required
        await self._reporter.report(0.0, f"{service} started")
        outputs = await self._call.outputs()
        await self._reporter.report(1.0, f"{service} done")
        return outputs

    async def _end_handler(self, reason: Literal["deadline", "shutdown"]) -> None:
        """Stops the handler, and waits for it for up to CLEANUP_SECONDS. An earlier reason is kept."""
        assert self._task is not None
        self.step.stop(reason)
        self._task.cancel()
        await asyncio.wait((self._task,), timeout=CLEANUP_SECONDS)
        if self.busy:
            log.warning("handler_does_not_stop", service_required=self._work.service_required, reason=reason)

    def _result(self, task: asyncio.Task[list[Output]]) -> WorkResult:
        if task.done() and not task.cancelled() and task.exception() is None:
            work = self._work
            return WorkResult(work.job_id, work.gid, work.sid, work.attempt, "completed", task.result())
        if self.step.stopped == "cancelled":
            return self._failed(permanent(CANCELLED, "The step was cancelled"))
        if self.step.stopped == "deadline":
            return self._failed(_late())
        error = task.exception() if task.done() and not task.cancelled() else None
        if isinstance(error, StepFault):
            return self._failed(error)
        log.error("step_failed_unexpectedly", exc_info=error)
        name = type(error or asyncio.CancelledError()).__name__
        return self._failed(permanent("WORKER_FAULT", f"The worker itself failed ({name})"))

    def _failed(self, fault: StepFault) -> WorkResult:
        return failed(self._work, fault.error)

    @property
    def busy(self) -> "asyncio.Future[Any] | None":
        """The task or thread that still occupies the lane: a handler that does not stop, or has not returned."""
        if (thread := self._call.busy) is not None:
            return thread
        return self._task if self._task is not None and not self._task.done() else None

    def when_idle(self, free: Callable[[], None]) -> None:
        """Calls `free` once nothing of the attempt runs, at once if that is so already."""
        busy = self.busy
        if busy is None:
            free()
        else:
            busy.add_done_callback(lambda _: self.when_idle(free))


def failed(work: WorkMessage, error: StepError) -> WorkResult:
    """The result of an attempt that failed."""
    return WorkResult(work.job_id, work.gid, work.sid, work.attempt, "failed", error=error)


def _late() -> StepFault:
    return transient("DEADLINE_EXCEEDED", "The step's deadline passed before it was done")
