"""References between steps are found, validated and rewritten at any place in a payload."""

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.references import MAX_DEPTH, depth, faults, malformed, rewrite, walk

RICH = {
    "type": "doc",
    "content": [
        {"type": "paragraph", "children": [{"text": "around "}, {"type": "component", "attrs": {"$ref": 7}}]},
        {"type": "component", "$ref": 8, "children": [{"text": ""}]},
    ],
}


def test_a_reference_object_is_found_at_any_depth():
    """The pointer is that of the `$ref`'s value."""
    payload = {"image": {"$ref": 1}, "more": [{"a/b": [{"$ref": 2}]}]}
    assert list(walk(payload)) == [("/image/$ref", 1), ("/more/0/a~1b/0/$ref", 2)]


def test_tokens_are_found_in_strings_once_per_occurrence():
    """A text may refer to several steps, and to one step twice; variables are not references."""
    payload = {"prompt": "{{style}} of {{$ref:1}} and {{ $ref: 2 }} and {{$ref:1}}"}
    assert list(walk(payload, "/p")) == [("/p/prompt", 1), ("/p/prompt", 2), ("/p/prompt", 1)]


def test_references_in_rich_documents_are_found():
    """A component node has its `$ref` itself or in its attributes."""
    assert [step for _, step in walk(RICH)] == [7, 8]


def test_rewriting_replaces_ids_in_every_form():
    """The original is not changed."""
    payload = {"image": {"$ref": 1, "note": "x"}, "prompt": "{{style}} {{$ref:2}}{{ $ref:1 }}", "doc": RICH, "n": 1}
    before = copy.deepcopy(payload)
    renamed = rewrite(payload, {1: 101, 2: 102, 7: 107, 8: 108})
    assert payload == before
    assert renamed["image"] == {"$ref": 101, "note": "x"}
    assert renamed["prompt"] == "{{style}} {{$ref:102}}{{ $ref:101 }}"
    assert [step for _, step in walk(renamed["doc"])] == [107, 108]
    assert renamed["n"] == 1


def test_a_reference_that_names_no_id_is_malformed():
    """Strings, booleans, zero and fractions are not step ids; the fault has the pointer."""
    payload = {"a": {"$ref": "1"}, "b": {"$ref": True}, "c": {"$ref": 0}, "d": {"$ref": 1.5}, "e": "{{$ref:one}}"}
    assert [detail.pointer for detail in malformed(payload)] == ["/a/$ref", "/b/$ref", "/c/$ref", "/d/$ref", "/e"]
    assert list(walk(payload)) == []


def test_faults_name_the_step_and_the_pointer():
    """References to a missing step and to the step itself have different messages."""
    details = faults([(1, {"image": {"$ref": 9}}), (2, {"prompt": "{{$ref:2}}"})], "/data")
    assert [(detail.pointer, detail.message) for detail in details] == [
        ("/data/steps/0/nodePayload/image/$ref", "step 1 refers to step 9, which does not exist"),
        ("/data/steps/1/nodePayload/prompt", "step 2 refers to itself"),
    ]


def test_a_cycle_is_reported_at_each_of_its_references_and_only_there():
    """Step 4 refers to a cycle without being part of it: its reference is valid."""
    steps = [(1, {"a": {"$ref": 3}}), (2, {"a": {"$ref": 1}}), (3, {"a": {"$ref": 2}}), (4, {"a": {"$ref": 1}})]
    details = faults(steps)
    assert [detail.pointer for detail in details] == [f"/steps/{index}/nodePayload/a/$ref" for index in (0, 1, 2)]
    assert "1 → 3 → 2 → 1" in details[0].message


def test_a_later_step_may_be_referred_to():
    """Steps may be in any order: references determine their dependencies."""
    assert faults([(1, {"image": {"$ref": 2}}), (2, {"prompt": "x"})]) == []


def test_nesting_is_bounded():
    """A deeper payload is rejected without a RecursionError."""
    deep = {"$ref": 1}
    for _ in range(5000):
        deep = {"a": deep}
    assert depth(deep) == 5001
    [fault] = faults([(1, deep)])
    assert str(MAX_DEPTH) in fault.message


_IDS = st.integers(1, 2**63 - 1)
_TOKENS = _IDS.map(lambda step: f"a {{{{$ref:{step}}}}} b {{{{style}}}}")
_PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | _TOKENS | _IDS.map(lambda step: {"$ref": step}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(_PAYLOADS)
def test_rewriting_replaces_exactly_the_ids_that_walk_returns(payload):
    """Each reference keeps its pointer; the inverse mapping restores the payload."""
    references = list(walk(payload))
    ids = sorted({step for _, step in references})
    mapping = {step: index + 1 for index, step in enumerate(ids)}
    renamed = rewrite(payload, mapping)
    assert list(walk(renamed)) == [(pointer, mapping[step]) for pointer, step in references]
    back = rewrite(renamed, {new: old for old, new in mapping.items()})
    assert json.dumps(back) == json.dumps(payload)


def test_other_members_of_a_reference_object_are_ignored():
    """They are neither validated nor rewritten."""
    payload = {"image": {"$ref": 1, "note": {"$ref": 9, "text": "{{$ref:8}}"}}}
    assert [step for _, step in walk(payload)] == [1]
    assert rewrite(payload, {1: 5}) == {"image": {"$ref": 5, "note": {"$ref": 9, "text": "{{$ref:8}}"}}}
    assert faults([(2, payload), (1, {})]) == []


def test_a_cycle_through_steps_with_the_same_id_is_found():
    """Each reference leads to an id that both an earlier and a later step have."""
    steps = [(5, {}), (2, {"a": {"$ref": 5}}), (5, {"a": {"$ref": 2}})]
    assert [detail.pointer for detail in faults(steps)] == [
        "/steps/1/nodePayload/a/$ref",
        "/steps/2/nodePayload/a/$ref",
    ]


def test_a_reference_between_two_cycles_is_valid():
    """1 ⇄ 2 refers to 3 ⇄ 4."""
    steps = [
        (1, {"a": {"$ref": 2}}),
        (2, {"a": {"$ref": 1}, "b": {"$ref": 3}}),
        (3, {"a": {"$ref": 4}}),
        (4, {"a": {"$ref": 3}}),
    ]
    assert [detail.pointer for detail in faults(steps)] == [
        "/steps/0/nodePayload/a/$ref",
        "/steps/1/nodePayload/a/$ref",
        "/steps/2/nodePayload/a/$ref",
        "/steps/3/nodePayload/a/$ref",
    ]


def test_the_message_about_a_long_cycle_is_short():
    """It names a dozen steps of a cycle of two hundred."""
    steps = [(step, {"a": {"$ref": step % 200 + 1}}) for step in range(1, 201)]
    details = faults(steps)
    assert len(details) == 200
    assert "1 → 2 → 3 → 4 → 5 → 6 → … → 196 → 197 → 198 → 199 → 200 → 1 (200 steps)" in details[0].message
    assert sum(len(detail.message) for detail in details) < 20_000
