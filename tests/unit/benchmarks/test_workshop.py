"""The jobs of the benchmarks are jobs as users make them."""

from benchmarks.workshop import SERVICE, chain, definition
from services.generation.cost_function import cost_functions
from services.generation.domain.payload.substitution import needs
from services.generation.domain.workflow import read_definition
from shared.contracts.generation_input import read


def test_the_workflow_of_no_work_can_be_registered():
    made = read_definition(SERVICE, 1, definition(SERVICE), cost_functions)
    assert made.template.service == SERVICE


def test_each_step_of_a_chain_waits_for_the_one_before():
    given = read(chain(SERVICE, 3))
    assert [needs(step.payload) for step in given.steps] == [[], [1], [2]]
