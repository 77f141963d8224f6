"""`step_scheduled` → a message of work, once per attempt: its id in JetStream is `<sid>:<attempt>`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from services.generation.domain.generation import CheckpointState
from services.generation.domain.turns import ReadyStep, StepKey
from shared.contracts.generation import (
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    JobPaused,
    JobRequested,
    JobResumed,
    JobUnpaused,
    StepCompleted,
    StepError,
    StepFailed,
    StepScheduled,
    WorkflowPaused,
    WorkflowUnpaused,
)
from shared.contracts.work import UploadGrant, WorkContext, WorkMessage, kind_of_work

NAME = "dispatch-steps-v1"
ENDS = (GenerationCompleted, GenerationFailed, GenerationCancelled)
"""Of a generation: nothing of it is sent any more."""
PAUSES = (JobRequested, JobPaused, JobUnpaused, JobResumed, WorkflowPaused, WorkflowUnpaused)
"""By operators. A new job is not paused, and one that is resumed no longer."""
EVENTS = (StepScheduled, StepCompleted, StepFailed, *ENDS, *PAUSES)
UNSENDABLE = StepError("DISPATCH_FAILED", "The step can't be sent to a worker: see the service's log", retryable=True)
TOO_LARGE = StepError("PAYLOAD_TOO_LARGE", "The step's payload is too large to be sent to a worker", retryable=False)
NO_CHECKPOINT = CheckpointState()


def ready_step(event: StepScheduled) -> ReadyStep:
    """The attempt, as it waits for its turn."""
    return ReadyStep(
        sid=event.sid,
        attempt=event.attempt,
        gid=event.gid,
        job_id=event.job_id,
        user_id=event.user_id,
        kind=kind_of_work(event.workflow_type, event.service_required),
        workflow=event.workflow,
        priority=event.priority,
    )


def message_id(event: StepScheduled) -> str:
    return f"{event.sid}:{event.attempt}"


def key_of_message(headers: Mapping[str, str]) -> StepKey | None:
    """The attempt that a message of work is for, from its id; None if it has another one."""
    sid, _, attempt = headers.get("Nats-Msg-Id", "").partition(":")
    try:
        return UUID(sid), int(attempt)
    except ValueError:
        return None


def work_message(
    event: StepScheduled,
    upload: UploadGrant,
    deadline: datetime,
    limit: timedelta,
    traceparent: str | None,
    checkpoint: CheckpointState = NO_CHECKPOINT,
) -> WorkMessage:
    """`deadline`: until when the grant is valid, by this clock; `limit`: the time from receipt that it may take."""
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
        discarded=checkpoint.discarded,
    )
