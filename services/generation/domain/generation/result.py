"""Taking the result of a step's attempt, and everything that follows from it, as one decision.

What follows is the next steps, a retry, or the generation's end: recorded in the same append, or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.generation.reproduction import reproduction
from services.generation.domain.generation.result_checks import result_fault
from services.generation.domain.generation.state import Generation, evolve
from services.generation.domain.generation.steps import completed_outputs, ready_steps, retry_delay, schedule
from shared.contracts.event import Event
from shared.contracts.generation import (
    GenerationCompleted,
    GenerationFailed,
    GenerationStarted,
    Output,
    PlannedStep,
    StepCompleted,
    StepError,
    StepFailed,
)
from shared.contracts.grants import step_prefix

LOST = StepError(
    code="STEP_LOST", message="The worker stopped doing the step, or took longer than its deadline", retryable=True
)
"""The error of an attempt that no worker does any more, or that is past its deadline."""


class TakeResult(msgspec.Struct, frozen=True):
    """A worker's result of one attempt. `data` and `chosen` are those of the job, for `gen_in_data`."""

    sid: UUID
    attempt: int
    outputs: list[Output]
    error: StepError | None
    now: datetime
    data: Mapping[str, Any]
    chosen: Mapping[str, Any]


def take_result(command: TakeResult, state: Generation) -> Sequence[Event]:
    """No events if the step is not waiting for a result of this attempt."""
    step = state.step_of(command.sid)
    if step is None or state.started is None or not state.is_current(command.sid, command.attempt):
        return []
    event = _outcome(command, state, state.started, step)
    return [event, *_following(command, evolve(state, event), state.started, step)]


def _outcome(
    command: TakeResult, state: Generation, started: GenerationStarted, step: PlannedStep
) -> StepCompleted | StepFailed:
    prefix = step_prefix(started.user_id, started.job_id, started.gid, step.sid)
    size = sum(other.size for other in state.steps.values())
    error = command.error or result_fault(command.outputs, prefix, size)
    if error is None:
        return StepCompleted(
            gid=started.gid,
            job_id=started.job_id,
            sid=step.sid,
            component_id=step.component_id,
            attempt=command.attempt,
            outputs=command.outputs,
        )
    return StepFailed(
        gid=started.gid,
        job_id=started.job_id,
        sid=step.sid,
        component_id=step.component_id,
        attempt=command.attempt,
        error=error,
        final=not error.retryable or _attempts(command, state, step) >= step.max_attempts or state.has_failed_step,
    )


def _attempts(command: TakeResult, state: Generation, step: PlannedStep) -> int:
    """How many attempts the step has had in this round, with this one."""
    return command.attempt - state.steps[step.component_id].earlier


def _following(
    command: TakeResult, state: Generation, started: GenerationStarted, step: PlannedStep
) -> Iterator[Event]:
    """What follows from the step's new state. After a final failure, the generation ends when no step is running."""
    if state.has_failed_step:
        if not state.has_running_step:
            yield _failed(command, state, started)
    elif state.steps[step.component_id].status == "waiting":
        not_before = command.now + retry_delay(_attempts(command, state, step), step.sid)
        yield schedule(state, step, command.attempt + 1, not_before)
    elif all(other.status == "completed" for other in state.steps.values()):
        yield GenerationCompleted(
            gid=started.gid,
            job_id=started.job_id,
            user_id=started.user_id,
            cost=state.cost,
            outputs=completed_outputs(state),
            gen_in_data=reproduction(command.data, command.chosen, started),
            round=state.round,
        )
    else:
        for event in ready_steps(state):
            state = evolve(state, event)
            yield event
        if state.has_failed_step and not state.has_running_step:
            yield _failed(command, state, started)


def _failed(command: TakeResult, state: Generation, started: GenerationStarted) -> GenerationFailed:
    step = next(step for step in started.steps if state.steps[step.component_id].status == "failed")
    error = state.steps[step.component_id].error
    assert error is not None
    return GenerationFailed(
        gid=started.gid,
        job_id=started.job_id,
        user_id=started.user_id,
        sid=step.sid,
        error=error,
        outputs=completed_outputs(state),
        gen_in_data=reproduction(command.data, command.chosen, started),
        round=state.round,
    )
