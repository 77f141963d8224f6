"""Scheduling a generation's steps: which of them can run, and when."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from services.generation.domain.generation.state import Generation
from services.generation.domain.payload.substitution import resolve
from shared.contracts.generation import (
    GenerationStarted,
    PlannedStep,
    StepError,
    StepFailed,
    StepOutputs,
    StepScheduled,
)
from shared.contracts.sizes import MAX_SCHEDULED, encoded_size

FIRST_RETRY_DELAY, LONGEST_RETRY_DELAY = timedelta(seconds=1), timedelta(seconds=60)


def ready_at(event: StepScheduled, recorded_at: datetime) -> datetime:
    """When a scheduled step may be sent: at once, or at the end of its backoff."""
    return datetime.fromisoformat(event.not_before) if event.not_before else recorded_at


def retry_delay(attempt: int, sid: UUID) -> timedelta:
    """The backoff after this attempt: 1, 2, 4, … at most 60 seconds, and up to a quarter more as jitter.

    The jitter is derived from the step's id, so that steps which failed together are not retried together.
    """
    delay: timedelta = min(FIRST_RETRY_DELAY * 2 ** min(attempt - 1, 10), LONGEST_RETRY_DELAY)
    return delay * (1 + sid.bytes[0] / 1024)


def ready_steps(state: Generation) -> Iterator[StepScheduled | StepFailed]:
    """Schedules each step that was not yet scheduled in this round, and whose needed steps have all completed.

    A step fails if its payload, with their outputs in it, exceeds MAX_SCHEDULED: these are not known when a job is
    checked.
    """
    assert state.started is not None
    for step in state.started.steps:
        current = state.steps[step.component_id]
        if current.is_unscheduled and all(state.steps[need].status == "completed" for need in step.needs):
            event = schedule(state, step, current.attempt + 1, None)
            size = encoded_size(event.payload)
            yield event if size <= MAX_SCHEDULED else _too_large(state.started, step, event.attempt, size)


def schedule(state: Generation, step: PlannedStep, attempt: int, not_before: datetime | None) -> StepScheduled:
    """An attempt of a step, with the outputs of other steps in its payload. `not_before`: None for at once."""
    assert state.started is not None
    return StepScheduled(
        gid=state.started.gid,
        job_id=state.started.job_id,
        user_id=state.started.user_id,
        collection_id=state.started.collection_id,
        sid=step.sid,
        component_id=step.component_id,
        attempt=attempt,
        workflow=step.workflow,
        workflow_type=step.workflow_type,
        service_required=step.service_required,
        payload=resolve(step.payload, {need: state.steps[need].outputs for need in step.needs}),
        priority=step.priority,
        not_before=not_before.isoformat() if not_before is not None else None,
        hash=state.started.hash,
    )


def completed_outputs(state: Generation) -> list[StepOutputs]:
    """The outputs of the completed steps, in the collection's order."""
    return [
        StepOutputs(step_id=step.component_id, outputs=state.steps[step.component_id].outputs)
        for step in (state.started.steps if state.started is not None else [])
        if state.steps[step.component_id].status == "completed"
    ]


def _too_large(started: GenerationStarted, step: PlannedStep, attempt: int, size: int) -> StepFailed:
    message = (
        f"With the outputs of other steps in it, the payload takes {size} bytes as JSON; "
        f"at most {MAX_SCHEDULED} are allowed"
    )
    return StepFailed(
        gid=started.gid,
        job_id=started.job_id,
        sid=step.sid,
        component_id=step.component_id,
        attempt=attempt,
        error=StepError(code="PAYLOAD_TOO_LARGE", message=message, retryable=False),
        final=True,
    )
