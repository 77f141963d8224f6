"""A generation's state, folded from its events."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import (
    GenerationCompleted,
    GenerationFailed,
    GenerationStarted,
    Output,
    PlannedStep,
    StepCheckpointed,
    StepCompleted,
    StepError,
    StepFailed,
    StepScheduled,
)
from shared.contracts.sizes import encoded_size
from shared.persistent import Map

Status = Literal["", "running", "completed", "failed"]
StepStatus = Literal["waiting", "running", "completed", "failed"]


class StepState(msgspec.Struct, frozen=True):
    """`attempt`: the latest, from 1; 0: the step was never scheduled. `size`: bytes of the outputs as JSON."""

    status: StepStatus = "waiting"
    attempt: int = 0
    outputs: list[Output] = []
    error: StepError | None = None
    size: int = 0


class CheckpointState(msgspec.Struct, frozen=True):
    """The newest checkpoint of a step. `number` 0: it has none."""

    number: int = 0
    checkpoint: dict[str, Any] | None = None


class Generation(msgspec.Struct, frozen=True):
    """Status "": not started. `steps`: by component id."""

    status: Status = ""
    started: GenerationStarted | None = None
    steps: Map[int, StepState] = Map()
    checkpoints: Map[int, CheckpointState] = Map()
    """By component id, of steps that are not completed. They outlast failures, and a job's end: a resumed step goes on
    from them."""

    def checkpoint_of(self, sid: UUID) -> CheckpointState:
        step = self.step_of(sid)
        return self.checkpoints.get(step.component_id, CheckpointState()) if step is not None else CheckpointState()

    def step_of(self, sid: UUID) -> PlannedStep | None:
        steps = self.started.steps if self.started is not None else []
        return next((step for step in steps if step.sid == sid), None)

    def is_current(self, sid: UUID, attempt: int) -> bool:
        """Whether the step is waiting for the result of this attempt; any other result is late or a duplicate."""
        step = self.step_of(sid)
        state = self.steps[step.component_id] if step is not None else StepState()
        return state.status == "running" and state.attempt == attempt

    @property
    def has_failed_step(self) -> bool:
        """Whether a step failed finally, so that the generation can't complete."""
        return any(step.status == "failed" for step in self.steps.values())

    @property
    def has_running_step(self) -> bool:
        return any(step.status == "running" for step in self.steps.values())


def evolve(state: Generation, event: Event) -> Generation:  # noqa: PLR0911 - one return for each event
    match event:
        case GenerationStarted():
            return Generation("running", event, Map({step.component_id: StepState() for step in event.steps}))
        case StepScheduled():
            return _with_step(state, event.component_id, StepState("running", event.attempt))
        case StepCheckpointed():
            checkpoint = CheckpointState(event.number, event.checkpoint)
            return msgspec.structs.replace(state, checkpoints=state.checkpoints.set(event.component_id, checkpoint))
        case StepCompleted():
            step = StepState("completed", event.attempt, event.outputs, size=encoded_size(event.outputs))
            return _with_step(state, event.component_id, step)
        case StepFailed():
            status: StepStatus = "failed" if event.final else "waiting"
            return _with_step(state, event.component_id, StepState(status, event.attempt, error=event.error))
        case GenerationCompleted():
            return msgspec.structs.replace(state, status="completed")
        case GenerationFailed():
            return msgspec.structs.replace(state, status="failed")
    raise AssertionError(f"{event!r} is not an event of a generation")


def _with_step(state: Generation, component_id: int, step: StepState) -> Generation:
    return msgspec.structs.replace(state, steps=state.steps.set(component_id, step))
