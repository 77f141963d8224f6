"""One generation: an artwork of a job, drawn from one hash, made by its steps.

Steps whose references are ready run at once, each attempt answered by one result. A result and what follows from it
(the next steps, or the generation's end) are one decision, so they are recorded together or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, assert_never
from uuid import UUID

import msgspec

from services.generation.domain.generation.reproduction import reproduction
from services.generation.domain.generation.result_checks import result_fault
from services.generation.domain.payload.substitution import resolved
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
    StepOutputs,
    StepScheduled,
)
from shared.contracts.grants import step_prefix
from shared.contracts.sizes import MAX_SCHEDULED, encoded_size
from shared.persistent import Map

Status = Literal["", "running", "completed", "failed"]
StepStatus = Literal["waiting", "running", "completed", "failed"]

LOST = StepError(code="STEP_LOST", message="No result came back before the step's deadline", retryable=True)
BACKOFF_FIRST, BACKOFF_MOST = timedelta(seconds=1), timedelta(seconds=60)


class StepState(msgspec.Struct, frozen=True):
    status: StepStatus = "waiting"
    attempt: int = 0
    outputs: list[Output] = []
    error: StepError | None = None
    size: int = 0
    """Bytes of the outputs as JSON."""


class Generation(msgspec.Struct, frozen=True):
    """State. Status "": not started. `steps` is by component id."""

    status: Status = ""
    started: GenerationStarted | None = None
    steps: Map[int, StepState] = Map()

    def step_of(self, sid: UUID) -> PlannedStep | None:
        steps = self.started.steps if self.started is not None else []
        return next((step for step in steps if step.sid == sid), None)

    def is_current(self, sid: UUID, attempt: int) -> bool:
        """Whether this attempt is what the step waits for; any other result comes too late or twice."""
        step = self.step_of(sid)
        state = self.steps[step.component_id] if step is not None else StepState()
        return state.status == "running" and state.attempt == attempt


def evolve(state: Generation, event: Event) -> Generation:
    replace = msgspec.structs.replace
    match event:
        case GenerationStarted():
            state = Generation("running", event, Map({step.component_id: StepState() for step in event.steps}))
        case StepScheduled():
            state = _with_step(state, event.component_id, StepState("running", event.attempt))
        case StepCompleted():
            done = StepState("completed", event.attempt, event.outputs, size=encoded_size(event.outputs))
            state = _with_step(state, event.component_id, done)
        case StepFailed():
            status: StepStatus = "failed" if event.final else "waiting"
            state = _with_step(state, event.component_id, StepState(status, event.attempt, error=event.error))
        case GenerationCompleted():
            state = replace(state, status="completed")
        case GenerationFailed():
            state = replace(state, status="failed")
    return state


def _with_step(state: Generation, component_id: int, step: StepState) -> Generation:
    return msgspec.structs.replace(state, steps=state.steps.set(component_id, step))


class Start(msgspec.Struct, frozen=True):
    """A job's generation begins, as planned (`planning.plan_steps`)."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    collection_id: UUID
    hash: str
    variables: dict[str, Any]
    steps: list[PlannedStep]
    cost: int
    encryption_enabled: bool = False


class TakeResult(msgspec.Struct, frozen=True):
    """What a worker answered to one attempt. `data` and `chosen` are the job's, for `gen_in_data`."""

    sid: UUID
    attempt: int
    outputs: list[Output]
    error: StepError | None
    now: datetime
    data: Mapping[str, Any]
    chosen: Mapping[str, Any]


Command = Start | TakeResult


def decide(command: Command, state: Generation) -> Sequence[Event]:
    match command:
        case Start():
            return _start(command, state)
        case TakeResult():
            return _take(command, state)
    assert_never(command)


def ready_at(event: StepScheduled, recorded_at: datetime) -> datetime:
    """When a scheduled step may be sent: at once, or when its backoff is over."""
    return datetime.fromisoformat(event.not_before) if event.not_before else recorded_at


def backoff(attempt: int, sid: UUID) -> timedelta:
    """How long the attempt after this one waits: 1, 2, 4, … at most 60 seconds, and up to a quarter more.

    The quarter comes from the step's own id, so that steps which failed together don't come back together.
    """
    wait: timedelta = min(BACKOFF_FIRST * 2 ** min(attempt - 1, 10), BACKOFF_MOST)
    return wait * (1 + sid.bytes[0] / 1024)


def _start(command: Start, state: Generation) -> Sequence[Event]:
    if state.status:
        return []
    started = GenerationStarted(
        gid=command.gid,
        job_id=command.job_id,
        user_id=command.user_id,
        collection_id=command.collection_id,
        hash=command.hash,
        variables=command.variables,
        steps=command.steps,
        cost=command.cost,
        encryption_enabled=command.encryption_enabled,
    )
    return [started, *_ready(evolve(state, started))]


def _take(command: TakeResult, state: Generation) -> Sequence[Event]:
    step = state.step_of(command.sid)
    if step is None or state.started is None or not state.is_current(command.sid, command.attempt):
        return []
    started = state.started
    prefix = step_prefix(started.user_id, started.job_id, started.gid, step.sid)
    before = sum(each.size for each in state.steps.values())
    error = command.error or result_fault(command.outputs, prefix, before)
    event = (
        StepCompleted(
            gid=state.started.gid,
            job_id=state.started.job_id,
            sid=step.sid,
            component_id=step.component_id,
            attempt=command.attempt,
            outputs=command.outputs,
        )
        if error is None
        else StepFailed(
            gid=state.started.gid,
            job_id=state.started.job_id,
            sid=step.sid,
            component_id=step.component_id,
            attempt=command.attempt,
            error=error,
            final=not error.retryable or command.attempt >= step.max_attempts or _is_lost(state),
        )
    )
    state = evolve(state, event)
    return [event, *_following(command, state, step)]


def _following(command: TakeResult, state: Generation, step: PlannedStep) -> Iterator[Event]:
    """What a result leads to. A generation that can't succeed any more ends when what still runs has answered."""
    assert state.started is not None
    if _is_lost(state):
        if not any(each.status == "running" for each in state.steps.values()):
            yield _failed(command, state)
    elif state.steps[step.component_id].status == "waiting":
        not_before = command.now + backoff(command.attempt, step.sid)
        yield _scheduled(state, step, command.attempt + 1, not_before)
    elif all(each.status == "completed" for each in state.steps.values()):
        yield GenerationCompleted(
            gid=state.started.gid,
            job_id=state.started.job_id,
            user_id=state.started.user_id,
            cost=state.started.cost,
            outputs=_outputs(state),
            gen_in_data=reproduction(command.data, command.chosen, state.started),
        )
    else:
        for event in _ready(state):
            state = evolve(state, event)
            yield event
        if _is_lost(state) and not any(each.status == "running" for each in state.steps.values()):
            yield _failed(command, state)


def _is_lost(state: Generation) -> bool:
    return any(each.status == "failed" for each in state.steps.values())


def _failed(command: TakeResult, state: Generation) -> GenerationFailed:
    assert state.started is not None
    step = next(step for step in state.started.steps if state.steps[step.component_id].status == "failed")
    error = state.steps[step.component_id].error
    assert error is not None
    return GenerationFailed(
        gid=state.started.gid,
        job_id=state.started.job_id,
        user_id=state.started.user_id,
        sid=step.sid,
        error=error,
        outputs=_outputs(state),
        gen_in_data=reproduction(command.data, command.chosen, state.started),
    )


def _ready(state: Generation) -> Iterator[StepScheduled | StepFailed]:
    """The steps that were never scheduled and whose references all have their outputs.

    What other steps made is known now only: where it makes a payload that no message can carry, the step has failed.
    """
    assert state.started is not None
    for step in state.started.steps:
        if state.steps[step.component_id] == StepState() and all(
            state.steps[need].status == "completed" for need in step.needs
        ):
            scheduled = _scheduled(state, step, 1, None)
            size = encoded_size(scheduled.payload)
            yield scheduled if size <= MAX_SCHEDULED else _too_large(state.started, step, size)


def _too_large(started: GenerationStarted, step: PlannedStep, size: int) -> StepFailed:
    message = f"With what other steps made, the payload takes {size} bytes as JSON, more than {MAX_SCHEDULED}"
    return StepFailed(
        gid=started.gid,
        job_id=started.job_id,
        sid=step.sid,
        component_id=step.component_id,
        attempt=1,
        error=StepError(code="PAYLOAD_TOO_LARGE", message=message, retryable=False),
        final=True,
    )


def _scheduled(state: Generation, step: PlannedStep, attempt: int, not_before: datetime | None) -> StepScheduled:
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
        payload=resolved(step.payload, {need: state.steps[need].outputs for need in step.needs}),
        priority=step.priority,
        not_before=not_before.isoformat() if not_before is not None else None,
        hash=state.started.hash,
    )


def _outputs(state: Generation) -> list[StepOutputs]:
    assert state.started is not None
    return [
        StepOutputs(step_id=step.component_id, outputs=state.steps[step.component_id].outputs)
        for step in state.started.steps
        if state.steps[step.component_id].status == "completed"
    ]
