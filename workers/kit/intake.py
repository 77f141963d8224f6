"""What happens to a message of work from its arrival to its acknowledgement: one attempt, one result, then the ack."""

import asyncio
import contextlib
import time
from uuid import UUID

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.generation.broker import ACK_TIMEOUT
from shared.backoff import Backoff
from shared.contracts.generation import StepError
from shared.contracts.work import WorkMessage, WorkResult
from shared.telemetry.tracing import span
from workers.kit.lease import Lease
from workers.kit.metrics import WorkerMetrics
from workers.kit.progress import Reporter
from workers.studio.attempt import Attempts, deadline_of

log = structlog.get_logger()

_decoder = msgspec.json.Decoder(WorkMessage)


class _Identity(msgspec.Struct):
    """The least that a message must say for its failure to be told."""

    job_id: UUID
    gid: UUID
    sid: UUID
    attempt: int


class Intake:
    """Takes messages as they come; `slots` bounds how many are worked on."""

    def __init__(
        self, client: Client, attempts: Attempts, slots: asyncio.Semaphore, metrics: WorkerMetrics, *, ack_wait: float
    ) -> None:
        self._client, self._attempts, self._slots, self._metrics = client, attempts, slots, metrics
        self._ack_wait = ack_wait
        self._held: dict[tuple[UUID, int], Lease] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, message: Msg) -> None:
        """Works on a message in a task of its own."""
        task = asyncio.create_task(self._take(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, until: float) -> None:
        """Lets what runs end until that time of the loop's clock, and hands the rest back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _take(self, message: Msg) -> None:
        lease = Lease(message, self._ack_wait)
        try:
            async with lease.kept():
                await self._settle(lease)
        except asyncio.CancelledError:
            await lease.hand_back()
            log.info("step_handed_back", subject=message.subject)
            raise
        except Exception:
            log.exception("step_left_to_another_delivery", subject=message.subject)

    async def _settle(self, lease: Lease) -> None:
        try:
            work = _decoder.decode(lease.message.data)
            deadline_of(work)
        except (msgspec.MsgspecError, ValueError) as error:
            await self._refuse(lease, str(error))
            return
        key = work.sid, work.attempt
        if (held := self._held.get(key)) is not None:
            held.message = lease.message  # we are at it: the broker had only lost sight of us
            return
        self._held[key] = lease
        try:
            with structlog.contextvars.bound_contextvars(job_id=str(work.job_id), gid=str(work.gid), sid=str(work.sid)):
                async with self._slots:
                    result = await self._answer(work)
                await self._publish(result)
            await self._held[key].done()
        finally:
            del self._held[key]

    async def _answer(self, work: WorkMessage) -> WorkResult:
        started = time.perf_counter()
        with span(f"work {work.service_required}", traceparent=work.traceparent, kind="consumer") as current:
            work = msgspec.structs.replace(work, traceparent=current.traceparent)
            with self._metrics.running.track_inprogress():
                result = await self._attempts.run(work, Reporter(self._client, work))
        seconds = time.perf_counter() - started
        code = result.error.code if result.error else ""
        self._metrics.finished(work.service_required, result.status, code, seconds)
        log.info(
            "step_finished",
            service_required=work.service_required,
            attempt=work.attempt,
            status=result.status,
            code=code,
            message=result.error.message if result.error else "",
            milliseconds=round(seconds * 1000),
        )
        return result

    async def _publish(self, result: WorkResult) -> None:
        """Until the broker has it: what was rendered is not thrown away because NATS restarts."""
        subject = f"results.{result.job_id}.{result.gid}"
        headers = {"Nats-Msg-Id": f"{result.sid}:{result.attempt}"}
        body = msgspec.json.encode(result)
        await Backoff("result", on=_passes).call(
            lambda: self._client.jetstream(timeout=ACK_TIMEOUT).publish(subject, body, headers=headers)
        )

    async def _refuse(self, lease: Lease, reason: str) -> None:
        """A message that can't be read: its step fails, if it says which; it does not come again."""
        log.error("work_is_malformed", subject=lease.message.subject, reason=reason[:500])
        self._metrics.malformed.inc()
        with contextlib.suppress(msgspec.MsgspecError):
            identity = msgspec.json.decode(lease.message.data, type=_Identity)
            error = StepError("MALFORMED_WORK", f"The message of work can't be read: {reason[:300]}", retryable=False)
            await self._publish(
                WorkResult(identity.job_id, identity.gid, identity.sid, identity.attempt, "failed", error=error)
            )
        await lease.refuse()


def _passes(error: Exception) -> bool:
    """Whether the broker may take it at another try: a client that was closed won't come back."""
    return isinstance(error, nats.errors.Error) and not isinstance(error, nats.errors.ConnectionClosedError)
