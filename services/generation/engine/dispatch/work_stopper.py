"""Stops the work of cancelled steps: their waiting messages are deleted, and their workers asked to stop.

This only saves the workers' time: the result of a cancelled step changes nothing, so a lost request does no harm.
Requests are repeated, because a message that is being delivered is neither in the queue nor at its worker yet.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from uuid import UUID

import msgspec
import structlog
from nats.js.errors import NotFoundError

from services.generation.workers.broker import BROKER_ERRORS, Broker
from shared.contracts.generation import GenerationCancelled, StoppedStep
from shared.contracts.work import WORK_STREAM, CancelRequest, cancel_subject, kind_of_work, work_subject
from shared.eventstore import RecordedEvent
from shared.processes import Process

NAME = "stop-work-v1"
REPEAT_AFTER = (1.0, 4.0)
"""Seconds after which the requests to workers are repeated, one after the other."""
MAX_SCANNED = 20_000
"""Messages of one kind of work that are read; further ones are delivered, and their results change nothing."""

log = structlog.get_logger()

Stopped = tuple[UUID, UUID, StoppedStep]
"""Job, generation and attempt."""


class WorkStopper:
    """Steps that are cancelled while others are being stopped are stopped together, with one look at the queue."""

    def __init__(self, broker: Broker, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._broker, self._sleep = broker, sleep
        self._waiting: list[Stopped] = []
        self._stopping = asyncio.Lock()
        self._repeats: set[asyncio.Task[None]] = set()

    def process(self) -> Process:
        async def stop(recorded: RecordedEvent) -> None:
            event = recorded.event
            assert isinstance(event, GenerationCancelled)
            await self.stop([(event.job_id, event.gid, stopped) for stopped in event.stopped])

        def note(recorded: RecordedEvent) -> bool:
            """Of a large job, most generations have not started."""
            assert isinstance(recorded.event, GenerationCancelled)
            return not recorded.event.stopped

        return Process(NAME, (GenerationCancelled,), stop, note=note, lost=self._broker.lost)

    async def stop(self, steps: Collection[Stopped]) -> None:
        """Raises BROKER_ERRORS. Idempotent."""
        if not steps:
            return
        self._waiting.extend(steps)
        async with self._stopping:
            batch, self._waiting = self._waiting, []
            if not batch:
                return  # an earlier caller took these too
            try:
                await self._stop(batch)
            except BaseException:
                self._waiting.extend(batch)
                raise

    async def _stop(self, batch: list[Stopped]) -> None:
        kinds: defaultdict[str, set[str]] = defaultdict(set)
        for _, _, step in batch:
            kinds[kind_of_work(step.workflow_type, step.service_required)].add(f"{step.sid}:{step.attempt}")
        deleted = 0
        for kind, message_ids in kinds.items():
            deleted += await self._delete_waiting(work_subject(kind), message_ids)
        await self._ask_workers(batch)
        log.info("work_stopped", steps=len(batch), deleted_messages=deleted)
        task = asyncio.create_task(self._repeat(batch))
        self._repeats.add(task)
        task.add_done_callback(self._repeats.discard)

    async def _delete_waiting(self, subject: str, message_ids: set[str]) -> int:
        """Deletes the messages of a kind of work that have these ids; returns their number."""
        js, sequence, deleted = await self._broker.jetstream(), 1, 0
        for _ in range(MAX_SCANNED):
            try:
                message = await js.get_msg(WORK_STREAM, seq=sequence, subject=subject, next=True)
            except NotFoundError:
                break
            assert message.seq is not None, "a stored message has a sequence"
            if (message.headers or {}).get("Nats-Msg-Id") in message_ids:
                deleted += await js.delete_msg(WORK_STREAM, message.seq)
                message_ids = message_ids - {(message.headers or {})["Nats-Msg-Id"]}
            if not message_ids:
                break
            sequence = message.seq + 1
        return deleted

    async def _ask_workers(self, batch: list[Stopped]) -> None:
        """Each request names its attempt: one that comes late must not stop a later attempt, after a resume."""
        client = await self._broker.client()
        for job_id, gid, step in batch:
            request = CancelRequest(job_id, gid, step.sid, step.attempt)
            subject = cancel_subject(kind_of_work(step.workflow_type, step.service_required))
            await client.publish(subject, msgspec.json.encode(request))

    async def _repeat(self, batch: list[Stopped]) -> None:
        for seconds in REPEAT_AFTER:
            await self._sleep(seconds)
            try:
                await self._ask_workers(batch)
            except BROKER_ERRORS as error:
                log.warning("cancel_requests_not_repeated", error=repr(error))
                return
