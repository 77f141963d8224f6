"""Which instructions are refused, and what is said about them."""

import pytest

from services.collections.domain.instructions import MAX_STEPS, faults
from tests.unit.collections.specification import two_steps


def pointers(data) -> list[str]:
    return [fault.pointer for fault in faults(data, "/data")]


def with_payloads(*payloads) -> dict:
    steps = [{"id": n, "nodeName": "sketch", "nodePayload": payload} for n, payload in enumerate(payloads, 1)]
    return {"version": "v2", "steps": steps}


@pytest.mark.parametrize("data", [None, [], "v2", 2, True])
def test_data_is_an_object(data):
    assert pointers(data) == ["/data"]


@pytest.mark.parametrize("version", [None, "v1", "v3", 2])
def test_no_other_version_is_supported(version):
    assert pointers(two_steps() | {"version": version}) == ["/data/version"]


def test_a_missing_version_is_not_guessed():
    assert pointers({"steps": []}) == ["/data/version"]


def test_a_draft_may_have_no_steps_yet():
    assert pointers({"version": "v2", "steps": []}) == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"steps": {}}, "/data/steps"),
        ({"steps": None}, "/data/steps"),
        ({"steps": ["sketch"]}, "/data/steps/0"),
        ({"variables": {}}, "/data/variables"),
        ({"variables": None}, "/data/variables"),
        ({"generations": 4}, "/data/generations"),
        ({"generations": {"generations": 0}}, "/data/generations/generations"),
        ({"generations": {"generations": True}}, "/data/generations/generations"),
        ({"generations": {"generations": 10_001}}, "/data/generations/generations"),
        ({"generations": {"hashes": "abc"}}, "/data/generations/hashes"),
        ({"generations": {"hashes": ["abc", ""]}}, "/data/generations/hashes/1"),
        ({"generations": {"use_custom_hashes": "yes"}}, "/data/generations/use_custom_hashes"),
    ],
)
def test_parts_of_a_wrong_type_are_pointed_at(change, pointer):
    data = two_steps() | change
    if "variables" in change:
        data["steps"] = []
    assert pointers(data) == [pointer]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "1"),
        ("id", True),
        ("id", 0),
        ("id", 1.0),
        ("id", 2**63),
        ("nodeName", ""),
        ("nodeName", None),
        ("nodeName", 7),
        ("alias", 7),
        ("nodePayload", None),
        ("nodePayload", []),
    ],
)
def test_a_step_of_a_wrong_form_is_pointed_at(field, value):
    data = two_steps()
    data["steps"][0][field] = value
    assert pointers(data) == [f"/data/steps/0/{field}"]


def test_step_ids_are_unique():
    data = with_payloads({}, {})
    data["steps"][1]["id"] = 1
    (fault,) = faults(data, "/data")
    assert fault.pointer == "/data/steps/1/id"
    assert "step 1 is there twice, first at /data/steps/0" in fault.message


def test_a_reference_to_the_step_itself_is_refused():
    (fault,) = faults(with_payloads({"a": [{"b": {"$ref": 1}}]}), "/data")
    assert (fault.pointer, fault.message) == ("/data/steps/0/nodePayload/a/0/b/$ref", "step 1 refers to itself")


def test_references_around_a_circle_are_refused_in_whatever_form_they_come():
    rich = {"type": "doc", "children": [{"type": "component", "attrs": {"$ref": 3}}]}
    found = faults(with_payloads({"prompt": "{{$ref:2}}"}, {"prompt": rich}, {"image": {"$ref": 1}}), "/data")
    assert [fault.pointer for fault in found] == [
        "/data/steps/0/nodePayload/prompt",
        "/data/steps/1/nodePayload/prompt/children/0/attrs/$ref",
        "/data/steps/2/nodePayload/image/$ref",
    ]
    assert all("circle" in fault.message for fault in found)


def test_the_order_of_steps_does_not_matter_to_references():
    assert pointers(with_payloads({"image": {"$ref": 2}}, {})) == []


def test_unknown_variables_are_named_and_the_known_ones_listed():
    data = two_steps()
    data["steps"][0]["nodePayload"] = {"lines": ["a {{ style }}", {"deep": "{{stile}} and {{}}"}]}
    found = faults(data, "/data")
    assert [fault.pointer for fault in found] == ["/data/steps/0/nodePayload/lines/1/deep"] * 2
    assert found[0].message == "step 1 uses an unknown variable 'stile'; the collection's variables are style"


def test_texts_that_postgresql_cannot_hold_are_refused():
    data = two_steps() | {"note": {"a/b": "x\0y"}}
    assert pointers(data) == ["/data/note/a~1b"]


def test_nesting_is_bounded():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert pointers(with_payloads(deep)) == ["/data"]


def test_the_number_of_steps_is_bounded():
    assert pointers(with_payloads(*[{}] * MAX_STEPS)) == []
    assert pointers(with_payloads(*[{}] * (MAX_STEPS + 1))) == ["/data/steps"]
