"""Instructions that a collection refuses. The tests of GenerationInput specify its rules."""

import pytest

from services.collections.domain.collection import state as collection
from tests.unit.collections.specification import create, given, two_steps


def with_payloads(*payloads) -> dict:
    steps = [{"id": n, "nodeName": "sketch", "nodePayload": payload} for n, payload in enumerate(payloads, 1)]
    return {"version": "v2", "steps": steps}


def refused(data) -> list[tuple[str, str]]:
    command = create(data)
    problem = given(collection).when(command).outcome
    assert problem.code == "VALIDATION_FAILED"
    return [(detail.pointer, detail.message) for detail in problem.details]


@pytest.mark.parametrize("version", [None, "v1", "v3", 2])
def test_no_other_version_is_supported(version):
    assert [pointer for pointer, _ in refused(two_steps() | {"version": version})] == ["/data/version"]


def test_a_draft_may_have_no_steps_yet():
    assert len(given(collection).when(create({"version": "v2", "steps": []}, ids=())).outcome) == 2


def test_step_ids_are_unique():
    data = with_payloads({}, {})
    data["steps"][1]["id"] = 1
    assert [pointer for pointer, _ in refused(data)] == ["/data/steps/1/id"]


def test_a_reference_to_the_step_itself_is_refused():
    assert refused(with_payloads({"a": [{"b": {"$ref": 1}}]})) == [
        ("/data/steps/0/nodePayload/a/0/b/$ref", "step 1 refers to itself")
    ]


def test_references_in_a_cycle_are_refused_in_every_form():
    rich = {"type": "doc", "children": [{"type": "component", "attrs": {"$ref": 3}}]}
    faults = refused(with_payloads({"prompt": "{{$ref:2}}"}, {"prompt": rich}, {"image": {"$ref": 1}}))
    assert [pointer for pointer, _ in faults] == [
        "/data/steps/0/nodePayload/prompt",
        "/data/steps/1/nodePayload/prompt/children/0/attrs/$ref",
        "/data/steps/2/nodePayload/image/$ref",
    ]
    assert all("depends on itself" in message for _, message in faults)


def test_the_order_of_steps_does_not_matter_to_references():
    assert len(given(collection).when(create(with_payloads({"image": {"$ref": 2}}, {}))).outcome) == 2


def test_a_refusal_has_the_unknown_variable_and_the_declared_ones():
    data = two_steps()
    data["steps"][0]["nodePayload"] = {"lines": ["a {{ style }}", {"deep": "{{stile}}"}]}
    ((pointer, message),) = refused(data)
    assert pointer == "/data/steps/0/nodePayload/lines/1/deep"
    assert "stile" in message
    assert "declared are style" in message


def test_texts_that_postgresql_cannot_hold_are_refused():
    assert [pointer for pointer, _ in refused(two_steps() | {"note": {"a/b": "x\0y"}})] == ["/data/note/a~1b"]
    assert [pointer for pointer, _ in refused(two_steps() | {"note": {"x\0y": 1}})] == ["/data/note"]
    spelled = two_steps() | {"note": "a backslash and \\u0000"}
    assert len(given(collection).when(create(spelled)).outcome) == 2


def test_nesting_is_bounded():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert [pointer for pointer, _ in refused(with_payloads(deep))] == ["/data"]
