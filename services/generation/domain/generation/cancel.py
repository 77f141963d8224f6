"""Cancelling a generation: its running steps stop; its completed steps are kept and charged."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.generation.reproduction import reproduction
from services.generation.domain.generation.state import ENDED, Generation
from services.generation.domain.generation.steps import completed_outputs
from shared.contracts.event import Event
from shared.contracts.generation import GenerationCancelled, StoppedStep


class Cancel(msgspec.Struct, frozen=True):
    """The job is stopped in this round. `data` and `chosen` are those of the job, for `gen_in_data`.

    `step_costs`: micro-credits by component id, for generations that an earlier release started without them.
    """

    gid: UUID
    job_id: UUID
    user_id: UUID
    round: int
    data: Mapping[str, Any]
    chosen: Mapping[str, Any]
    step_costs: Mapping[int, int] = {}


def cancel(command: Cancel, state: Generation) -> Sequence[Event]:
    """No events for a generation that has ended in this round.

    One that has not started is cancelled too; a start command that comes later then changes nothing.
    """
    if state.round > command.round or (state.round == command.round and state.status in ENDED):
        return []
    if state.status == "completed":
        return []
    was_running = state.status == "running"
    outputs = completed_outputs(state)
    return [
        GenerationCancelled(
            gid=command.gid,
            job_id=command.job_id,
            user_id=command.user_id,
            round=command.round,
            was_running=was_running,
            cost=sum(completed_costs(state, command.step_costs).values()) if was_running else 0,
            stopped=_running_steps(state),
            outputs=outputs,
            gen_in_data=reproduction(command.data, command.chosen, state.started)
            if outputs and state.started is not None
            else {},
        )
    ]


def completed_costs(state: Generation, step_costs: Mapping[int, int] = {}) -> dict[int, int]:
    """Micro-credits of each step that completed in this round, by component id."""
    return {
        component_id: cost
        for component_id, cost in costs_of(state, step_costs).items()
        if state.steps[component_id].status == "completed" and component_id not in state.kept
    }


def costs_of(state: Generation, step_costs: Mapping[int, int] = {}) -> dict[int, int]:
    """Micro-credits of each step, by component id; `step_costs` for those that were recorded without."""
    steps = state.started.steps if state.started is not None else []
    return {
        step.component_id: step.cost if step.cost is not None else step_costs.get(step.component_id, 0)
        for step in steps
    }


def _running_steps(state: Generation) -> list[StoppedStep]:
    return [
        StoppedStep(
            sid=step.sid,
            component_id=step.component_id,
            attempt=state.steps[step.component_id].attempt,
            workflow_type=step.workflow_type,
            service_required=step.service_required,
        )
        for step in (state.started.steps if state.started is not None else [])
        if state.steps[step.component_id].status == "running"
    ]
