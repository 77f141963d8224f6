"""The jobs of the benchmarks are jobs as users make them."""

from benchmarks.workshop import SERVICE, chain, definition
from services.generation.cost_function import cost_functions
from services.generation.domain.payload.substitution import needs
from services.generation.domain.workflow import read_definition
from shared.contracts.generation_input import read


def test_the_workflow_of_no_work_can_be_registered():
    workflow = read_definition(SERVICE, 1, definition(SERVICE), cost_functions)
    assert workflow.template.service == SERVICE


def test_each_step_of_a_chain_waits_for_the_one_before():
    generation_input = read(chain(SERVICE, 3))
    assert [needs(step.payload) for step in generation_input.steps] == [[], [1], [2]]
