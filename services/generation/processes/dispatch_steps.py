"""A step that is scheduled becomes a message of work, once per attempt: JetStream knows `<sid>:<attempt>` again.

The upload grant is signed at this moment and goes out with the message only. A retry that has to wait is left to the
watchdog, which sends it when its time has come.
"""

from datetime import datetime, timedelta

import msgspec
import nats.errors

from services.generation.broker import Broker
from services.generation.domain.generation import ready_at
from services.generation.handlers import Engine
from services.generation.upload_grants import GrantSigner
from shared.contracts.generation import StepError, StepScheduled
from shared.contracts.work import WorkContext, WorkMessage
from shared.eventstore import RecordedEvent
from shared.processes import Process

NAME = "dispatch-steps-v1"
FRESH = timedelta(seconds=15)
"""How long JetStream surely knows the id of what this or another replica has just sent."""

TOO_LARGE = StepError("PAYLOAD_TOO_LARGE", "The step's payload is too large to be sent to a worker", retryable=False)


def work_subject(workflow_type: str, service_required: str) -> str:
    return f"work.{workflow_type}.{service_required}"


class Dispatcher:
    """Sends work. `step_deadline`: how long after it is ready an attempt counts as lost."""

    def __init__(self, engine: Engine, broker: Broker, signer: GrantSigner, step_deadline: timedelta) -> None:
        self._engine, self._broker, self._signer, self.step_deadline = engine, broker, signer, step_deadline

    async def send(self, recorded: RecordedEvent) -> None:
        """Raises nats.errors.Error while the broker is away."""
        event, now = recorded.event, self._engine.clock()
        assert isinstance(event, StepScheduled)
        # What is old was perhaps sent before this process was started again, and may be done already.
        if now - recorded.recorded_at > FRESH and not await self._engine.waits_for(event.gid, event.sid, event.attempt):
            return
        message = self.message(event, ready_at(event, recorded.recorded_at), recorded.context.traceparent)
        subject = work_subject(event.workflow_type, event.service_required)
        try:
            await self._broker.publish(subject, msgspec.json.encode(message), f"{event.sid}:{event.attempt}")
        except nats.errors.MaxPayloadError:
            await self._engine.take_result(
                job_id=event.job_id, gid=event.gid, sid=event.sid, attempt=event.attempt, outputs=[], error=TOO_LARGE
            )

    def message(self, event: StepScheduled, ready: datetime, traceparent: str | None) -> WorkMessage:
        deadline = ready + self.step_deadline
        return WorkMessage(
            job_id=event.job_id,
            gid=event.gid,
            sid=event.sid,
            attempt=event.attempt,
            service_required=event.service_required,
            workflow=event.workflow,
            payload=event.payload,
            context=WorkContext(
                user_id=event.user_id,
                collection_id=event.collection_id,
                component_id=event.component_id,
                hash=event.hash,
                upload=self._signer.grant(event, deadline=deadline),
            ),
            deadline=deadline.isoformat(),
            seconds=self.step_deadline.total_seconds(),
            traceparent=traceparent,
        )

    def process(self) -> Process:
        async def dispatch(recorded: RecordedEvent) -> None:
            event = recorded.event
            assert isinstance(event, StepScheduled)
            if event.not_before is None:
                await self.send(recorded)

        return Process(NAME, (StepScheduled,), dispatch, lost=self._broker.lost)
