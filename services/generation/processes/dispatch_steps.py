"""`step_scheduled` → a message of work, once per attempt: its id in JetStream is `<sid>:<attempt>`."""

from datetime import datetime, timedelta

from services.generation.domain.generation import CheckpointState
from shared.contracts.generation import StepError, StepScheduled
from shared.contracts.work import UploadGrant, WorkContext, WorkMessage

NAME = "dispatch-steps-v1"
TOO_LARGE = StepError("PAYLOAD_TOO_LARGE", "The step's payload is too large to be sent to a worker", retryable=False)
NO_CHECKPOINT = CheckpointState()


def is_due(event: StepScheduled) -> bool:
    """Whether the step is sent at once. A retry waits for the end of its backoff, and is sent by the watchdog."""
    return event.not_before is None


def work_subject(workflow_type: str, service_required: str) -> str:
    return f"work.{workflow_type}.{service_required}"


def message_id(event: StepScheduled) -> str:
    return f"{event.sid}:{event.attempt}"


def work_message(
    event: StepScheduled,
    upload: UploadGrant,
    deadline: datetime,
    limit: timedelta,
    traceparent: str | None,
    checkpoint: CheckpointState = NO_CHECKPOINT,
) -> WorkMessage:
    """`deadline`: by this clock; `limit`: the time from receipt that an attempt may take."""
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
            upload=upload,
        ),
        deadline=deadline.isoformat(),
        seconds=limit.total_seconds(),
        traceparent=traceparent,
        checkpoint=checkpoint.checkpoint,
        checkpoint_number=checkpoint.number,
    )
