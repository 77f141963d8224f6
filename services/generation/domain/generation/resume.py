"""Which steps of a generation are kept when it runs again, and what the others cost."""

from collections.abc import Mapping

from services.generation.domain.generation.cancel import costs_of
from services.generation.domain.generation.state import Generation
from shared.contracts.generation import PlannedStep

LAST_COMPLETED = "last_completed"
START = "start"


def kept_steps(state: Generation, resumed_from: str) -> list[int]:
    """Component ids of the completed steps that are not repeated.

    `resumed_from`: `last_completed` keeps all, `start` none, and a component's id all but that step and what depends on
    it.
    """
    renewed = renewed_steps(state, resumed_from)
    return [
        component_id
        for component_id, step in state.steps.items()
        if step.status == "completed" and component_id not in renewed
    ]


def renewed_steps(state: Generation, resumed_from: str) -> list[int]:
    """Component ids of the steps that are repeated because the resume asks for it, not because they did not complete.

    None of them goes on from its checkpoint: a step that is repeated on purpose starts a new task, and does not take
    the old one's result.
    With `last_completed` there are none: what an attempt has started and paid for may still end well.
    """
    if state.started is None or resumed_from == LAST_COMPLETED:
        return []
    steps = state.started.steps
    if resumed_from == START:
        return [step.component_id for step in steps]
    renewed = {int(resumed_from)}
    while more := {step.component_id for step in steps if renewed & set(step.needs)} - renewed:
        renewed |= more
    return [step.component_id for step in steps if step.component_id in renewed]


def resumption(
    state: Generation, resumed_from: str, planned_cost: int, step_costs: Mapping[int, int] = {}
) -> tuple[list[int], int]:
    """The kept steps, and the micro-credits of those that run again.

    `planned_cost`: of the whole generation, for one that has never started.
    """
    keep = kept_steps(state, resumed_from)
    if state.started is None:
        return keep, planned_cost
    return keep, sum(cost for step, cost in costs_of(state, step_costs).items() if step not in keep)


def costs_are_recorded(steps: list[PlannedStep]) -> bool:
    """False for a generation that an earlier release started."""
    return all(step.cost is not None for step in steps)
