"""A generation's state, folded from its events."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import (
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    GenerationResumed,
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

Status = Literal["", "running", "completed", "failed", "cancelled"]
StepStatus = Literal["waiting", "running", "completed", "failed"]
ENDED: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})


class StepState(msgspec.Struct, frozen=True):
    """`attempt`: the latest, from 1; 0: the step was never scheduled. `size`: bytes of the outputs as JSON.

    `earlier`: the latest attempt of earlier rounds; attempts are numbered on, so that no late result is mistaken for
    one of this round.
    """

    status: StepStatus = "waiting"
    attempt: int = 0
    earlier: int = 0
    outputs: list[Output] = []
    error: StepError | None = None
    size: int = 0

    @property
    def is_unscheduled(self) -> bool:
        """Whether no attempt of this round has been scheduled."""
        return self.status == "waiting" and self.attempt == self.earlier


class CheckpointState(msgspec.Struct, frozen=True):
    """The newest checkpoint of a step. `number` 0: it has none.

    `discarded`: nothing of the attempts up to this one is continued, because the step was renewed after them.
    """

    number: int = 0
    checkpoint: dict[str, Any] | None = None
    discarded: int = 0


class Generation(msgspec.Struct, frozen=True):
    """Status "": not started. `steps`: by component id.

    `round`: the job's, in which it runs or ended. `cost`: what it costs if it completes in this round, in
    micro-credits. `kept`: the steps that completed in earlier rounds and are not repeated.
    """

    status: Status = ""
    started: GenerationStarted | None = None
    steps: Map[int, StepState] = Map()
    round: int = 0
    cost: int = 0
    kept: frozenset[int] = frozenset()
    cancelled_cost: int = 0
    """Micro-credits of the steps that had completed in this round when it was cancelled."""
    checkpoints: Map[int, CheckpointState] = Map()
    """By component id. Kept after failures and the job's end, because a resumed step continues from them, unless it is
    renewed. Of a completed step only the number is kept."""

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
    def error(self) -> StepError | None:
        """That of the first step that failed finally."""
        steps = self.started.steps if self.started is not None else []
        states = (self.steps[step.component_id] for step in steps)
        return next((step.error for step in states if step.status == "failed"), None)

    @property
    def has_failed_step(self) -> bool:
        """Whether a step failed finally, so that the generation can't complete."""
        return any(step.status == "failed" for step in self.steps.values())

    @property
    def has_running_step(self) -> bool:
        return any(step.status == "running" for step in self.steps.values())


def evolve(state: Generation, event: Event) -> Generation:  # noqa: PLR0911 - a case for each event
    match event:
        case GenerationStarted():
            steps = Map({step.component_id: StepState() for step in event.steps})
            return Generation("running", event, steps, event.round, event.cost)
        case GenerationResumed():
            return _resumed(state, event)
        case StepScheduled():
            return _with_step(state, event.component_id, StepState("running", event.attempt, _earlier(state, event)))
        case StepCheckpointed():
            return _with_checkpoint(state, event.component_id, event.number, event.checkpoint)
        case StepCompleted():
            outputs, size = event.outputs, encoded_size(event.outputs)
            step = StepState("completed", event.attempt, _earlier(state, event), outputs, size=size)
            return _with_step(_without_checkpoint(state, event.component_id), event.component_id, step)
        case StepFailed():
            status: StepStatus = "failed" if event.final else "waiting"
            step = StepState(status, event.attempt, _earlier(state, event), error=event.error)
            return _with_step(state, event.component_id, step)
        case GenerationCompleted():
            return msgspec.structs.replace(state, status="completed")
        case GenerationFailed():
            return msgspec.structs.replace(state, status="failed")
        case GenerationCancelled():
            steps = state.steps.update(
                {
                    stopped.component_id: msgspec.structs.replace(state.steps[stopped.component_id], status="waiting")
                    for stopped in event.stopped
                }
            )
            return msgspec.structs.replace(
                state, status="cancelled", round=event.round, steps=steps, cancelled_cost=event.cost
            )
    raise AssertionError(f"{event!r} is not an event of a generation")


def _resumed(state: Generation, event: GenerationResumed) -> Generation:
    steps = {
        component_id: StepState(attempt=step.attempt, earlier=step.attempt)
        for component_id, step in state.steps.items()
        if component_id not in event.keep
    }
    checkpoints = {
        component_id: _renewed(state.checkpoints.get(component_id), state.steps[component_id].attempt)
        for component_id in event.renewed
    }
    return msgspec.structs.replace(
        state,
        status="running",
        steps=state.steps.update(steps),
        checkpoints=state.checkpoints.update(checkpoints),
        round=event.round,
        cost=event.cost,
        kept=frozenset(event.keep),
    )


def _earlier(state: Generation, event: StepScheduled | StepCompleted | StepFailed) -> int:
    return state.steps[event.component_id].earlier


def _with_step(state: Generation, component_id: int, step: StepState) -> Generation:
    return msgspec.structs.replace(state, steps=state.steps.set(component_id, step))


def _with_checkpoint(
    state: Generation, component_id: int, number: int, checkpoint: dict[str, Any] | None
) -> Generation:
    discarded = state.checkpoints.get(component_id, CheckpointState()).discarded
    newest = CheckpointState(number, checkpoint, discarded)
    return msgspec.structs.replace(state, checkpoints=state.checkpoints.set(component_id, newest))


def _without_checkpoint(state: Generation, component_id: int) -> Generation:
    """Drops the content of a completed step's checkpoint; its number stays, because a later run counts on from it."""
    checkpoint = state.checkpoints.get(component_id)
    return state if checkpoint is None else _with_checkpoint(state, component_id, checkpoint.number, None)


def _renewed(checkpoint: CheckpointState | None, attempt: int) -> CheckpointState:
    """Of a step that is renewed after this attempt. Its number grows, since keys of tasks are made with it.

    An attempt may have started a task and died before it had a checkpoint: that task's key must not be used again.
    """
    return CheckpointState((checkpoint.number if checkpoint is not None else 0) + 1, None, attempt)
