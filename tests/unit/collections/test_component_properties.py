"""Properties of component ids for generated instructions, with all forms of references."""

import copy
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.collections.deciders import COLLECTION
from services.collections.domain.collection.components import step_ids, with_components
from services.collections.domain.collection.instructions import check
from services.collections.domain.collection.state import NOTHING, evolve
from shared.contracts.collections import CollectionCreated
from shared.contracts.references import rewrite, walk
from shared.eventstore.decider import decode_state, encode_state
from tests.unit.collections.specification import created

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text("ab $:ref1", max_size=8))


def reference(step_id: int) -> st.SearchStrategy:
    """The forms of a reference."""
    return st.sampled_from(
        [
            {"$ref": step_id},
            {"$ref": step_id, "output": 0},
            f"like {{{{$ref:{step_id}}}}}, again {{{{ $ref: {step_id} }}}}",
            {"type": "doc", "content": [{"type": "component", "attrs": {"$ref": step_id}}]},
            {"type": "doc", "children": [{"type": "component", "$ref": step_id, "children": [{"text": ""}]}]},
        ]
    )


def nested(leaves: st.SearchStrategy) -> st.SearchStrategy:
    keys = st.text("abc/~", min_size=1, max_size=3)
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


@st.composite
def instructions(draw) -> dict:
    """Instructions whose steps refer to earlier ones only, so that there is no cycle; ids in any order."""
    ids = draw(st.lists(st.integers(1, 2**53), min_size=1, max_size=5, unique=True))
    steps = []
    for index, step_id in enumerate(ids):
        leaves = PLAIN if index == 0 else st.one_of(PLAIN, st.sampled_from(ids[:index]).flatmap(reference))
        payload = draw(st.dictionaries(st.text("xyz", min_size=1, max_size=2), nested(leaves), max_size=3))
        steps.append({"id": step_id, "nodeName": "sketch", "nodePayload": payload, "extra": draw(PLAIN)})
    order = draw(st.permutations(steps))
    return {"version": "v2", "steps": order, "unknown": draw(PLAIN)}


def graph(data: dict) -> list[list[tuple[str, int]]]:
    """For each step, the places of its references and the indexes of the steps they refer to."""
    place = {step_id: index for index, step_id in enumerate(step_ids(data))}
    return [[(where, place[ref]) for where, ref in walk(step["nodePayload"])] for step in data["steps"]]


def fresh(data: dict, start: int = 2**53 + 1) -> list[int]:
    return list(range(start, start + len(data["steps"])))


def no_reference_has_an_old_id(data):
    result = with_components(data, fresh(data))
    referred = {ref for step in result["steps"] for _, ref in walk(step["nodePayload"])}
    assert not referred & set(step_ids(data))
    assert referred <= set(step_ids(result))
    assert [step["fromId"] for step in result["steps"]] == step_ids(data)


def the_graph_of_references_is_unchanged(data):
    check(data, "/data")
    result = with_components(data, fresh(data))
    assert graph(result) == graph(data)
    check(result, "/data")


def a_creation_from_the_result_gives_the_same_graph(data):
    once = with_components(data, fresh(data))
    twice = with_components(once, fresh(data, 2**60))
    assert graph(twice) == graph(once)
    assert not set(step_ids(twice)) & set(step_ids(once))
    assert shape(twice) == shape(once)


def only_ids_and_references_change(data):
    before = copy.deepcopy(data)
    result = with_components(data, fresh(data))
    assert data == before
    assert shape(result) == shape(data)


def a_state_is_decoded_from_its_snapshot_unchanged(data):
    """The created event, and the state folded from it, are equal after encoding and decoding."""
    event = created(data, ids=fresh(data))[0]
    stored = msgspec.json.decode(msgspec.json.encode(event), type=CollectionCreated)
    assert stored == event
    state = evolve(NOTHING, stored)
    assert decode_state(COLLECTION, encode_state(state)) == state


PROPERTIES = (
    no_reference_has_an_old_id,
    the_graph_of_references_is_unchanged,
    a_creation_from_the_result_gives_the_same_graph,
    only_ids_and_references_change,
    a_state_is_decoded_from_its_snapshot_unchanged,
)


@given(instructions())
def test_components_of_any_instructions(data):
    """Has all properties above: making an example takes ten times as long as checking them all."""
    for holds in PROPERTIES:
        holds(data)


def shape(data: dict) -> str:
    """The instructions with the index of each step instead of its id."""
    place = {step_id: index + 1 for index, step_id in enumerate(step_ids(data))}
    steps = [
        {key: value for key, value in step.items() if key not in ("id", "fromId", "nodePayload")}
        | {"place": place[step["id"]], "nodePayload": rewrite(step["nodePayload"], place)}
        for step in data["steps"]
    ]
    return json.dumps(data | {"steps": steps}, sort_keys=True)
