"""Recording a step's checkpoint: what its next attempt must know."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.generation.state import Generation
from shared.contracts.event import Event
from shared.contracts.generation import StepCheckpointed


class TakeCheckpoint(msgspec.Struct, frozen=True):
    """A worker's checkpoint. `number`: of the step's checkpoints, from 1."""

    sid: UUID
    attempt: int
    number: int
    checkpoint: dict[str, Any]


def take_checkpoint(command: TakeCheckpoint, state: Generation) -> Sequence[Event]:
    """No events for a completed step, or for a checkpoint that is not newer than the recorded one.

    Nor for a checkpoint of an attempt before the step was renewed. A checkpoint of an attempt that has failed or was
    cancelled meanwhile is recorded: the task that it names was started.
    """
    step = state.step_of(command.sid)
    if step is None or state.started is None or state.steps[step.component_id].status == "completed":
        return []
    if command.attempt > state.steps[step.component_id].attempt:
        return []  # of no attempt that was scheduled
    newest = state.checkpoint_of(command.sid)
    if command.number <= newest.number or command.attempt <= newest.discarded:
        return []
    return [
        StepCheckpointed(
            gid=state.started.gid,
            job_id=state.started.job_id,
            sid=step.sid,
            component_id=step.component_id,
            attempt=command.attempt,
            number=command.number,
            checkpoint=command.checkpoint,
        )
    ]
