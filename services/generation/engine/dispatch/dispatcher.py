"""Sends scheduled steps to the work queue. The upload grant is signed here, and is in the message only."""

from datetime import timedelta
from uuid import UUID

import msgspec
import nats.errors

from services.generation.deciders import SOURCE
from services.generation.domain.file_addresses import files_in
from services.generation.domain.readable_files import owners_of_files
from services.generation.engine.intake.checkpoints import Checkpoints
from services.generation.handlers.commands import CommandHandlers
from services.generation.processes.dispatch_steps import (
    NO_CHECKPOINT,
    TOO_LARGE,
    message_id,
    work_message,
)
from services.generation.workers.broker import Broker
from services.generation.workers.upload_grants import GrantSigner
from shared.contracts.generation import StepScheduled
from shared.contracts.work import kind_of_work, work_subject
from shared.eventstore import RecordedEvent

DEDUPLICATED_FOR = timedelta(seconds=15)
"""Well within JetStream's window for duplicates: a step scheduled so recently can be sent again without harm."""


class Dispatcher:
    """`step_deadline`: how long an attempt may take at a worker; `max_queue`: how long it may wait for one."""

    def __init__(
        self,
        handlers: CommandHandlers,
        broker: Broker,
        signer: GrantSigner,
        checkpoints: Checkpoints,
        *,
        step_deadline: timedelta,
        max_queue: timedelta,
    ) -> None:
        self._handlers, self._broker, self._signer, self._checkpoints = handlers, broker, signer, checkpoints
        self._step_deadline, self._max_queue = step_deadline, max_queue

    async def send(self, recorded: RecordedEvent) -> None:
        """Raises nats.errors.Error, or TimeoutError, while the broker is away or results wait to be recorded.

        A payload that is too large for a message fails the attempt.
        """
        event, now = recorded.event, self._handlers.clock()
        assert isinstance(event, StepScheduled)
        # An older one may have been sent before a restart of this process, and may be done.
        is_old = now - recorded.recorded_at > DEDUPLICATED_FOR
        if is_old and not await self._handlers.is_current(event.gid, event.sid, event.attempt):
            return
        checkpoint = NO_CHECKPOINT
        if is_old or event.attempt > 1:  # a first attempt that was never sent has none
            checkpoint = await self._checkpoints.newest(event.job_id, event.gid, event.sid)
        deadline = now + self._max_queue + self._step_deadline
        upload = self._signer.grant(event, await self._readable_files(event), deadline=deadline)
        message = work_message(event, upload, deadline, self._step_deadline, recorded.context.traceparent, checkpoint)
        subject = work_subject(kind_of_work(event.workflow_type, event.service_required))
        try:
            await self._broker.publish(subject, msgspec.json.encode(message), message_id(event))
        except nats.errors.MaxPayloadError:
            await self._handlers.take_result(
                job_id=event.job_id, gid=event.gid, sid=event.sid, attempt=event.attempt, outputs=[], error=TOO_LARGE
            )

    async def _readable_files(self, event: StepScheduled) -> dict[int, UUID]:
        """The files that the step may read beside those of its job, and whose they must be."""
        files = files_in(event.payload)
        if not files:
            return {}
        store = self._handlers.store
        source = store.cached(SOURCE, event.collection_id)
        # An owner's job has seen all changes of the owner. What else may have changed is of no matter for an owner.
        if source is None or source.state.user_id != event.user_id:
            source = await store.load(SOURCE, event.collection_id)
        return owners_of_files(files, source.state, event.user_id)
