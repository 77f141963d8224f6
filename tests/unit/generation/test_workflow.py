"""Workflows: importing the same folder twice changes nothing, a changed one makes a new version."""

import pytest

from services.generation.cost_function import cost_functions
from services.generation.domain.workflow import Pause, Register, Unpause, Workflow, decide, evolve, workflow_id
from services.generation.domain.workflow.cost import InvalidCost, constant_cost, step_cost
from shared.contracts.generation import WorkflowPaused, WorkflowRegistered, WorkflowUnpaused
from shared.contracts.problem import Problem
from tests.unit.generation.builders import DEFINITIONS, after, folder
from workers.studio.renderers.palette import BY_NAME


def register(state, definition, name="sketch"):
    events = decide(Register(name, definition), state, cost_functions)
    return events, after(evolve, state, events)


def test_a_new_folder_becomes_version_1():
    """Its id follows from its name."""
    [event], state = register(Workflow(), folder("sketch"))
    assert isinstance(event, WorkflowRegistered)
    assert (event.workflow_id, event.version, event.definition) == (workflow_id("sketch"), 1, folder("sketch"))
    assert state.version == 1


def test_importing_the_same_content_again_does_nothing():
    """Whatever the order of its keys."""
    _, state = register(Workflow(), folder("sketch"))
    again = dict(reversed(folder("sketch").items()))
    assert register(state, again)[0] == []


def test_a_changed_folder_becomes_the_next_version():
    """Also when it changes back to what an older version was."""
    _, first = register(Workflow(), folder("sketch"))
    [changed], second = register(first, folder("sketch") | {"cost": {"expression": "2"}})
    [back], _ = register(second, folder("sketch"))
    assert (changed.version, back.version) == (2, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"form": []},
        {"form": {"fields": [{"name": "no id"}]}},
        {"job": {}},
        {"job": {"service_required": "a.b"}},
        {"job": {"service_required": "a", "priority": 101}},
        {"inputs": [{"id": "prompt", "pathJq": ".a b"}]},
        {"inputs": [{"id": "prompt"}]},
        {"cost": {"expression": "free"}},
        {"cost": {"expression": "-1"}},
    ],
)
def test_a_folder_that_can_not_be_read_is_refused(change):
    """And registers nothing."""
    with pytest.raises(Problem) as refused:
        decide(Register("sketch", folder("sketch") | change), Workflow(), cost_functions)
    assert refused.value.code == "VALIDATION_FAILED"


def test_the_built_in_workflows_cost_what_is_announced():
    """1, 0.25 and 0.1 credits."""
    costs = {name: step_cost(item.cost, {}).micro for name, item in DEFINITIONS.items()}
    assert costs == {"sketch": 1_000_000, "frame": 250_000, "caption": 100_000}


def test_all_faults_are_told_at_once():
    """Each with its place."""
    broken = {"form": {"fields": [{"name": "no id"}]}, "inputs": [{"id": "x"}], "job": {}, "cost": {"expression": "x"}}
    with pytest.raises(Problem) as refused:
        decide(Register("sketch", broken), Workflow(), cost_functions)
    pointers = ["/form/fields/0/id", "/inputs/0", "/job/service_required", "/cost/expression"]
    assert [detail.pointer for detail in refused.value.details] == pointers


def test_costs_are_exact():
    """The smallest amounts that occur; what is finer than a micro-credit is rounded up."""
    assert constant_cost("0.000123").micro == 123
    assert constant_cost("0.0000001").micro == 1
    for expression in ("NaN", "Infinity", "1e400", "", "1 credit"):
        with pytest.raises(InvalidCost):
            constant_cost(expression)


def test_the_sketch_form_offers_the_palettes_that_its_worker_has():
    """And leaves the choice to the worker with `auto`."""
    [palette] = [field for field in DEFINITIONS["sketch"].fields if field.id == "palette"]
    assert sorted(palette.options) == sorted(["auto", *BY_NAME])


def test_an_operator_pauses_a_workflow_and_its_next_versions():
    """Until it is continued. The same again does nothing."""

    def when(command, state):
        events = decide(command, state, cost_functions)
        return events, after(evolve, state, events)

    _, state = register(Workflow(), folder("sketch"))
    assert when(Unpause("sketch"), state)[0] == []
    events, state = when(Pause("sketch", "its API is down"), state)
    assert events == [WorkflowPaused(workflow_id("sketch"), "sketch", "its API is down")]
    assert when(Pause("sketch", "again"), state)[0] == []
    _, state = register(state, folder("sketch") | {"cost": {"expression": "2"}})
    assert (state.version, state.is_paused) == (2, True)
    events, state = when(Unpause("sketch"), state)
    assert events == [WorkflowUnpaused(workflow_id("sketch"), "sketch")]
    assert not state.is_paused
    with pytest.raises(Problem) as refused:
        decide(Pause("nobody"), Workflow(), cost_functions)
    assert refused.value.code == "WORKFLOW_NOT_FOUND"
