"""What happens to a message of work from its arrival to its acknowledgement: one attempt, one result, then the ack."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.backoff import Backoff
from shared.contracts.generation import StepError
from shared.contracts.work import CANCELLED, AttemptInProgress, CancelRequest, WorkMessage, WorkResult, kind_of
from shared.stopping import stop
from shared.telemetry.tracing import span
from workers.kit.attempt import Attempt, deadline_of, failed
from workers.kit.checkpoints import Checkpointer, may_pass
from workers.kit.handlers import Handler
from workers.kit.lane import ACK_TIMEOUT
from workers.kit.lease import Lease
from workers.kit.metrics import WorkerMetrics
from workers.kit.progress import Reporter
from workers.kit.step import FileTransfers

log = structlog.get_logger()

_decode_work = msgspec.json.Decoder(WorkMessage).decode
_decode_request = msgspec.json.Decoder(CancelRequest).decode
HEADERS_BYTES = 1024
"""Reserved for a message's headers."""
WAS_CANCELLED = StepError(CANCELLED, "The step was cancelled", retryable=False)
TOO_LARGE = StepError("RESULT_TOO_LARGE", "The step's result is too large for a message", retryable=False)


class _Identity(msgspec.Struct):
    """The least that a message must contain for its step to be reported as failed."""

    job_id: UUID
    gid: UUID
    sid: UUID
    attempt: int


@dataclass
class _Held:
    """A message that this worker holds the lease of: waiting for a slot, or in progress."""

    lease: Lease
    kind: str
    work: WorkMessage
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    attempt: Attempt | None = None
    is_cancelled: bool = False


class Intake:
    """Takes messages as they come; `slots` bounds how many attempts run.

    `handlers` by kind. `clock` tells the time for deadlines of messages that have no `seconds`.
    """

    def __init__(
        self,
        client: Client,
        handlers: Mapping[str, Handler],
        files: FileTransfers,
        slots: asyncio.Semaphore,
        metrics: WorkerMetrics,
        *,
        ack_wait: float,
        patience: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._client, self._handlers, self._files = client, handlers, files
        self._slots, self._metrics = slots, metrics
        self._ack_wait, self._patience, self._clock = ack_wait, patience, clock
        self._held: dict[tuple[UUID, int], _Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, message: Msg) -> None:
        """Works on a message in a task of its own."""
        task = asyncio.create_task(self._take(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, message: Msg) -> None:
        """Stops the attempts that a CancelRequest matches, running or waiting for a slot."""
        try:
            request = _decode_request(message.data)
        except msgspec.MsgspecError as error:
            log.warning("cancel_request_is_malformed", subject=message.subject, reason=str(error)[:500])
            return
        for held in self._held.values():
            if request.matches(held.work) and not held.is_cancelled:
                held.is_cancelled = True
                if held.attempt is not None:
                    held.attempt.cancel()
                log.info("step_cancelled", sid=str(held.work.sid), attempt=held.work.attempt)

    def in_progress(self) -> list[AttemptInProgress]:
        """The attempts that run now."""
        running = [held for held in self._held.values() if held.attempt is not None]
        return [AttemptInProgress(held.work.sid, held.work.attempt, held.since.isoformat()) for held in running]

    async def finish(self, until: float) -> None:
        """Lets running attempts end until that time of the loop's clock, and hands the others back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        await stop(*self._tasks)

    async def _take(self, message: Msg) -> None:
        lease = Lease(message, self._ack_wait)
        try:
            with lease.kept():
                await self._handle(lease)
        except asyncio.CancelledError:
            await lease.hand_back()
            log.info("step_handed_back", subject=message.subject)
            raise
        except Exception:
            log.exception("step_left_to_another_delivery", subject=message.subject)

    async def _handle(self, lease: Lease) -> None:
        kind = kind_of(lease.message.subject)
        try:
            work = _decode_work(lease.message.data)
            deadline_of(work)
        except (msgspec.MsgspecError, ValueError) as error:
            await self._refuse(lease, kind, str(error))
            return
        key = work.sid, work.attempt
        if (held := self._held.get(key)) is not None:
            held.lease.message = lease.message  # in progress here: the broker had missed our heartbeats
            return
        held = self._held[key] = _Held(lease, kind, work)
        try:
            with structlog.contextvars.bound_contextvars(job_id=str(work.job_id), gid=str(work.gid), sid=str(work.sid)):
                await self._publish(kind, await self._result(held))
            await held.lease.acknowledge()
        finally:
            del self._held[key]

    async def _result(self, held: _Held) -> WorkResult:
        """The attempt's result, once there was a slot for it. Its slot is free again when nothing of it runs."""
        await self._slots.acquire()
        free = self._slots.release
        try:
            if held.is_cancelled:
                return failed(held.work, WAS_CANCELLED)
            handler = self._handlers[held.kind]
            if handler.service != held.work.service_required:
                message = f"work of {held.kind} requires {held.work.service_required}"
                return failed(held.work, StepError("WORKFLOW_NOT_EXECUTABLE", message, retryable=False))
            return await self._attempt(held, handler)
        finally:
            if held.attempt is None:
                free()
            else:
                held.attempt.when_idle(free)

    async def _attempt(self, held: _Held, handler: Handler) -> WorkResult:
        started, service = time.perf_counter(), held.work.service_required
        with span(f"work {service}", traceparent=held.work.traceparent, kind="consumer") as current:
            work = msgspec.structs.replace(held.work, traceparent=current.traceparent)
            reporter = Reporter(self._client, work, held.kind)
            held.since = datetime.now(UTC)
            checkpointer = Checkpointer(self._client, work, held.kind, is_redelivered=held.lease.is_redelivered)
            held.attempt = Attempt(
                handler, work, self._files, reporter, checkpointer, patience=self._patience, now=self._clock()
            )
            with self._metrics.running.track_inprogress():
                result = await held.attempt.run()
        seconds = time.perf_counter() - started
        code = result.error.code if result.error else ""
        self._metrics.finished(service, result.status, code, seconds)
        log.info(
            "step_finished",
            service_required=service,
            attempt=work.attempt,
            status=result.status,
            code=code,
            message=result.error.message if result.error else "",
            milliseconds=round(seconds * 1000),
        )
        return result

    async def _publish(self, kind: str, result: WorkResult) -> None:
        """Publishes a result, however long the broker is away: what was made must not be lost to its restart."""
        headers = {"Nats-Msg-Id": f"{result.sid}:{result.attempt}"}
        body = msgspec.json.encode(result)
        if len(body) + HEADERS_BYTES > self._client.max_payload:
            body = msgspec.json.encode(msgspec.structs.replace(result, status="failed", outputs=[], error=TOO_LARGE))
        await Backoff("result", on=may_pass).call(
            lambda: self._client.jetstream(timeout=ACK_TIMEOUT).publish(result.subject(kind), body, headers=headers)
        )

    async def _refuse(self, lease: Lease, kind: str, reason: str) -> None:
        """Terminates a malformed message, and reports its step as failed if the message tells which it is."""
        log.error("work_is_malformed", subject=lease.message.subject, reason=reason[:500])
        self._metrics.malformed.inc()
        with contextlib.suppress(msgspec.MsgspecError):
            identity = msgspec.json.decode(lease.message.data, type=_Identity)
            error = StepError("MALFORMED_WORK", f"The message of work can't be read: {reason[:300]}", retryable=False)
            await self._publish(
                kind, WorkResult(identity.job_id, identity.gid, identity.sid, identity.attempt, "failed", error=error)
            )
        await lease.terminate()
