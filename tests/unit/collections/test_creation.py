"""The events of a creation, from its instructions and fields."""

import copy

import pytest

from services.collections.domain.collection import creation, instructions
from services.collections.domain.collection import state as collection
from shared.contracts.collections import EVENTS_OF_CREATION, CollectionCreated, PreviewCreated
from shared.contracts.generation_input import MAX_DETAILS
from shared.contracts.problem import Problem
from tests.unit.collections.specification import ALICE, COLLECTION, PROJECT, create, created, given, two_steps


def test_a_creation_is_a_collection_and_its_preview():
    """The preview is disabled."""
    collection_created, preview = created(title="Birds", editions=10)
    assert (type(collection_created), type(preview)) == EVENTS_OF_CREATION
    assert isinstance(collection_created, CollectionCreated)
    assert (collection_created.collection_id, collection_created.project_id) == (COLLECTION, PROJECT)
    assert (collection_created.user_id, collection_created.title) == (ALICE, "Birds")
    assert collection_created.editions == 10
    assert preview == PreviewCreated(COLLECTION, enabled=False, max_generations=3, is_remixable=False)


def test_every_step_gets_a_component_and_its_former_id_as_from_id():
    data = created(ids=(1001, 1002))[0].data
    assert [(step["id"], step["fromId"]) for step in data["steps"]] == [(1001, 1), (1002, 2)]
    assert data["steps"][1]["nodePayload"]["image"] == {"$ref": 1001}


def test_a_from_id_in_the_data_is_replaced():
    """A step copied from a collection has as `fromId` its id there, not the id before that."""
    data = two_steps()
    data["steps"][0]["fromId"] = 77
    assert created(data)[0].data["steps"][0]["fromId"] == 1


def test_a_step_may_have_no_payload_yet():
    steps = [{"id": 1, "nodeName": "sketch"}, {"id": 2, "nodeName": "sketch", "nodePayload": None}]
    event_steps = created({"version": "v2", "steps": steps})[0].data["steps"]
    assert event_steps == [steps[0] | {"id": 1001, "fromId": 1}, steps[1] | {"id": 1002, "fromId": 2}]


def test_references_are_rewritten_in_both_forms_of_a_prompt():
    data = two_steps()
    data["steps"][1]["nodePayload"] = {
        "plain": "like {{$ref:1}}, {{style}}",
        "rich": {
            "type": "doc",
            "content": [{"type": "component", "attrs": {"$ref": 1}}, {"type": "text", "text": "in {{style}}"}],
        },
    }
    payload = created(data)[0].data["steps"][1]["nodePayload"]
    assert payload["plain"] == "like {{$ref:1001}}, {{style}}"
    assert payload["rich"]["content"][0]["attrs"] == {"$ref": 1001}
    assert payload["rich"]["content"][1] == {"type": "text", "text": "in {{style}}"}


def test_unknown_members_are_kept():
    """Unknown members are kept at every level, and the argument is not modified."""
    data = two_steps() | {"theme": {"dark": True}}
    data["steps"][0]["position"] = {"x": 1.5, "y": -0.25}
    data["variables"][0]["note"] = "mine"
    before = copy.deepcopy(data)
    event_data = created(data)[0].data
    assert data == before
    assert event_data["theme"] == {"dark": True}
    assert event_data["steps"][0]["position"] == {"x": 1.5, "y": -0.25}
    assert event_data["variables"] == before["variables"]


def test_the_default_instructions_are_valid():
    """A collection with the default instructions can be generated."""
    assert [step["fromId"] for step in created(instructions.default(), ids=(5,))[0].data["steps"]] == [1]


def test_without_a_title_a_collection_is_untitled():
    assert created()[0].title == created(title=None)[0].title == "Untitled"


def test_a_refusal_has_every_fault_of_the_fields():
    command = create(blockchain="DOGE", editions=0, cover_image_url="http://example.com/a.png")
    given(collection).when(command).then_refused("VALIDATION_FAILED", "/blockchain", "/editions", "/cover_image_url")


def test_faulty_instructions_are_refused_with_their_pointers():
    data = two_steps()
    data["steps"][1]["nodePayload"]["image"] = {"$ref": 9}
    details = (
        given(collection).when(create(data)).then_refused("VALIDATION_FAILED", "/data/steps/1/nodePayload/image/$ref")
    )
    assert details[0].message == "step 2 refers to step 9, which does not exist"


def test_the_number_of_faults_in_a_refusal_is_bounded():
    data = two_steps() | {"variables": [{}] * 150}
    with pytest.raises(Problem, match="not a valid") as refused:
        creation.decide(create(data), collection.NOTHING)
    assert len(refused.value.details) == MAX_DETAILS
