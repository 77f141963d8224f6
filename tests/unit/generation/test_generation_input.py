"""A GenerationInput is read as a whole: every fault is reported, with its pointer."""

import pytest

from shared.contracts.generation_input import read
from shared.contracts.problem import Problem
from tests.unit.generation.builders import data, pick, step


def faults(document):
    with pytest.raises(Problem) as refused:
        read(document)
    assert refused.value.code == "VALIDATION_FAILED"
    return {detail.pointer: detail.message for detail in refused.value.details}


def test_a_valid_input_becomes_a_typed_view():
    """Steps, variables and generations as they are used later; what editors add is left alone."""
    document = data(
        step(1, prompt="portrait, {{style}}", seed=-1) | {"alias": "Main", "fromId": 9},
        step(2, "frame", image={"$ref": 1}),
        variables=[pick("style", "cyberpunk", "steampunk", weights=[1, 0.5], lock_value=True)],
        generations=4,
        hashes=["a"],
        use_custom_hashes=True,
    )
    generation_input = read(document)
    assert [(item.id, item.workflow, item.alias, item.pointer) for item in generation_input.steps] == [
        (1, "sketch", "Main", "/data/steps/0"),
        (2, "frame", None, "/data/steps/1"),
    ]
    [style] = generation_input.variables
    assert (style.values, style.shares, style.locked) == (("cyberpunk", "steampunk"), (2, 1), True)
    assert (generation_input.generations, generation_input.hashes) == (4, ("a",))
    assert generation_input.use_custom_hashes is True


@pytest.mark.parametrize("document", [None, [], "v2", 3])
def test_anything_but_an_object_is_refused(document):
    """The pointer is the input's own."""
    assert list(faults(document)) == ["/data"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"version": "v1"}, "/data/version"),
        ({"steps": None}, "/data/steps"),
        ({"steps": {}}, "/data/steps"),
        ({"steps": [1]}, "/data/steps/0"),
        ({"steps": [step("1")]}, "/data/steps/0/id"),
        ({"steps": [step(True)]}, "/data/steps/0/id"),
        ({"steps": [step(0)]}, "/data/steps/0/id"),
        ({"steps": [step(2**63)]}, "/data/steps/0/id"),
        ({"steps": [step(1, workflow="")]}, "/data/steps/0/nodeName"),
        ({"steps": [step(1) | {"nodePayload": []}]}, "/data/steps/0/nodePayload"),
        ({"steps": [step(1) | {"alias": 1}]}, "/data/steps/0/alias"),
        ({"steps": [step(1), step(1)]}, "/data/steps/1/id"),
        ({"steps": [step(1, x={"$text": ["a"]})]}, "/data/steps/0/nodePayload/x/$text"),
        ({"variables": {}}, "/data/variables"),
        ({"generations": 4}, "/data/generations"),
        ({"generations": {"generations": 0}}, "/data/generations/generations"),
        ({"generations": {"generations": "4"}}, "/data/generations/generations"),
        ({"generations": {"generations": 10_001}}, "/data/generations/generations"),
        ({"generations": {"hashes": "a"}}, "/data/generations/hashes"),
        ({"generations": {"hashes": ["a", ""]}}, "/data/generations/hashes/1"),
        ({"generations": {"use_custom_hashes": 1}}, "/data/generations/use_custom_hashes"),
    ],
)
def test_a_wrong_value_is_named_by_its_pointer(change, pointer):
    """One fault gives one detail, at the value that is wrong."""
    assert list(faults(data(step(1)) | change)) == [pointer]


def test_every_fault_is_told_at_once():
    """A dangling reference, a cycle and an undeclared variable come in one answer."""
    messages = faults(
        data(
            step(1, image={"$ref": 2}),
            step(2, image={"$ref": 1}),
            step(3, prompt="{{style}} {{$ref:9}}", deep=[{"text": "{{colour}}"}]),
            variables=[pick("style", "x")],
        )
    )
    assert "depends on itself: 1 → 2 → 1" in messages["/data/steps/0/nodePayload/image/$ref"]
    assert "depends on itself: 2 → 1 → 2" in messages["/data/steps/1/nodePayload/image/$ref"]
    assert messages["/data/steps/2/nodePayload/prompt"] == "step 3 refers to step 9, which does not exist"
    assert messages["/data/steps/2/nodePayload/deep/0/text"] == "there is no variable {{colour}}; declared are style"


def test_a_faulty_step_does_not_shift_the_pointers_after_it():
    """The third step keeps the pointer of the third."""
    messages = faults(data(step("x"), 7, step(3, image={"$ref": 8})))
    assert set(messages) == {"/data/steps/0/id", "/data/steps/1", "/data/steps/2/nodePayload/image/$ref"}


@pytest.mark.parametrize(
    ("variable", "pointer"),
    [
        ("style", ""),
        (pick("", "a"), "/name"),
        (pick("a b ", "a"), "/name"),
        (pick("a{b}", "a"), "/name"),
        (pick("$ref:1", "a"), "/name"),
        (pick("style", "a", type="dice"), "/type"),
        (pick("style", "a", value_type="videos"), "/value_type"),
        (pick("style", "a", type="number"), "/value_type"),
        (pick("style", "a", lock_value="yes"), "/lock_value"),
        (pick("style", "a", value=["a"]), "/value"),
        (pick("style"), "/value/values"),
        (pick("style", "a", 2), "/value/values/1"),
        (pick("style", 1, "2", value_type="numbers"), "/value/values/1"),
        (pick("style", 1, True, value_type="numbers"), "/value/values/1"),
        (pick("style", "a", "b", weights=[1]), "/value/weights"),
        (pick("style", "a", "b", weights=[1, -1]), "/value/weights/1"),
        (pick("style", "a", "b", weights=[1, "2"]), "/value/weights/1"),
        (pick("style", "a", "b", weights=[0, 0]), "/value/weights"),
        (pick("style", "a", value={"values": ["a", "b"], "display_names": ["A"]}), "/value/display_names"),
        (pick("style", "a", value={"values": ["a"], "display_names": [1]}), "/value/display_names/0"),
        ({"name": "t", "type": "text", "value": 4}, "/value"),
        ({"name": "n", "type": "number", "value": "4"}, "/value"),
    ],
)
def test_a_malformed_variable_is_named_by_its_pointer(variable, pointer):
    """Names, types, and lists that must be as long as each other."""
    assert list(faults(data(step(1), variables=[variable]))) == [f"/data/variables/0{pointer}"]


def test_two_variables_can_not_share_a_name():
    """The second one is at fault."""
    assert list(faults(data(step(1), variables=[pick("a", "x"), pick("a", "y")]))) == ["/data/variables/1/name"]


def test_weights_and_display_names_are_optional():
    """Values without weights weigh the same."""
    generation_input = read(
        data(step(1), variables=[{"name": "a", "type": "pick", "value": {"values": ["x", "y", "z"]}}])
    )
    assert list(generation_input.variables[0].sums) == [1, 2, 3]


def test_texts_and_numbers_have_one_value_or_none():
    """Without one, the request must set it."""
    generation_input = read(
        data(
            step(1),
            variables=[
                {"name": "a", "type": "text", "value": "x"},
                {"name": "b", "type": "number", "value": 0.5},
                {"name": "c", "type": "text"},
            ],
        )
    )
    assert [variable.values for variable in generation_input.variables] == [("x",), (0.5,), ()]
