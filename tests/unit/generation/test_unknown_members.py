"""Members of instructions that nothing reads are warned about, with the name that was probably meant."""

from typing import Any

from services.generation.domain.planning.unknown_members import unknown_members
from shared.contracts.generation_input import read
from tests.unit.generation.builders import DEFINITIONS


def warnings(
    payload: dict[str, Any], variable: dict[str, Any] | None = None, workflow: str = "sketch"
) -> dict[str, str]:
    steps = [{"id": 1, "nodeName": workflow, "nodePayload": {"prompt": "a tide", **payload}}]
    variables = [] if variable is None else [{"name": "mood", "type": "pick", **variable}]
    document = {"version": "v2", "steps": steps, "variables": variables}
    return {detail.pointer: detail.message for detail in unknown_members(read(document), DEFINITIONS)}


def test_known_members_have_no_warnings():
    value = {"values": ["calm"], "weights": [1], "display_names": ["Calm"]}
    variable = {"value_type": "strings", "lock_value": False, "test_value": "calm", "description": "x", "value": value}
    assert warnings({"width": 96, "height": 96, "seed": -1}, variable) == {}


def test_a_misspelt_field_of_a_workflow_is_told_with_the_field_that_is_like_it():
    assert warnings({"witdh": 96, "a/b": 1}) == {
        "/data/steps/0/nodePayload/witdh": "sketch has no 'witdh': it is ignored; did you mean width?",
        "/data/steps/0/nodePayload/a~1b": "sketch has no 'a/b': it is ignored",
    }


def test_misspelt_members_of_a_variable_and_of_its_value_are_told():
    value = {"values": ["calm"], "wieghts": [1]}
    assert warnings({}, {"value": value, "lock_valeu": True}) == {
        "/data/variables/0/lock_valeu": "a variable has no 'lock_valeu': it is ignored; did you mean lock_value?",
        "/data/variables/0/value/wieghts": "a variable's value has no 'wieghts': it is ignored; did you mean weights?",
    }


def test_a_number_has_the_members_of_a_range_or_those_of_a_list():
    limits = {"min": 1, "max": 3, "stpe": 2, "weights": [1, 1, 1]}
    assert warnings({}, {"type": "number", "value": limits}) == {
        "/data/variables/0/value/stpe": "a variable's value has no 'stpe': it is ignored; did you mean step?"
    }
    listed = {"values": [1, 3], "min": 1}
    assert list(warnings({}, {"type": "number", "value": listed})) == ["/data/variables/0/value/min"]


def test_of_a_workflow_that_there_is_none_of_nothing_is_known():
    assert warnings({"witdh": 96}, workflow="other") == {}
