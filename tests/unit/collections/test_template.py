"""Templates: which values overrides replace, and what is refused with the pointer of the override."""

from typing import Any

import msgspec
import pytest

from services.collections.domain.collection import state as collection
from services.collections.domain.collection import template
from services.collections.domain.collection.creation import CreateFromTemplate
from services.collections.domain.collection.editing import PreviewChanges
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.state import Collection, Custody
from services.collections.domain.collection.template import filled_data, filled_fields, read_path, refuse_web_images
from shared.contracts import collections as events
from shared.contracts.problem import Problem
from tests.unit.collections.specification import ALICE, BOB, COLLECTION, OTHER_PROJECT, created, given, two_steps

PROMPT = "data.steps[0].nodePayload.prompt"
CUSTODY = Custody("farcaster", "carol")


def template_of(data: Any = None, **fields: Any) -> Collection:
    state = collection.NOTHING
    for event in created(data or two_steps(), **fields):
        state = collection.evolve(state, event)
    return state


def refused(data: Any, overrides: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as raised:
        filled_data(template_of(data), overrides)
    assert raised.value.code == "VALIDATION_FAILED"
    return [(detail.pointer, detail.message) for detail in raised.value.details]


def test_overrides_replace_values_at_any_depth_and_leave_the_template_as_it_is():
    source = template_of()
    before = template_of().data
    data = filled_data(source, {PROMPT: "a whale", "data.variables[0].value.values[0]": "blue"})
    assert data["steps"][0]["nodePayload"] == {"prompt": "a whale", "seed": -1}
    assert data["variables"][0]["value"]["values"] == ["blue"]
    assert data["steps"][1] == source.data["steps"][1]
    assert source.data == before


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "old"}]}]},
            {
                "type": "doc",
                "content": [
                    {"type": "paragraph", "content": [{"type": "text", "text": "a whale"}]},
                    {"type": "paragraph", "content": [{"type": "text", "text": "{{style}}"}]},
                ],
            },
        ),
        (
            [{"type": "paragraph", "children": [{"text": "old"}]}],
            [
                {"type": "paragraph", "children": [{"type": "text", "text": "a whale"}]},
                {"type": "paragraph", "children": [{"type": "text", "text": "{{style}}"}]},
            ],
        ),
        ([{"text": "old"}], [{"type": "text", "text": "a whale\n{{style}}"}]),
        ("old", "a whale\n{{style}}"),
    ],
)
def test_a_text_becomes_a_document_where_the_template_has_one(document: Any, expected: Any):
    data = two_steps()
    data["steps"][0]["nodePayload"]["prompt"] = document
    filled = filled_data(template_of(data), {PROMPT: "a whale\n{{style}}"})
    assert filled["steps"][0]["nodePayload"]["prompt"] == expected


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("titel", "is no field of a collection"),
        ("data", "is no field of a collection"),
        ("data.steps[01].nodePayload", "is no field of a collection"),
        ("data..steps", "is no field of a collection"),
        ("data.steps[0].nodePayload.promt", "no member 'promt' in data.steps[0].nodePayload"),
        ("data.steps[2].nodePayload", "data.steps has 2 entries, so no [2]"),
        ("data.steps.nodePayload", "data.steps is a list, so it has no nodePayload"),
        ("data.steps[0][0]", "data.steps[0] is an object, so it has no [0]"),
        ("data.version.major", "data.version is a single value, so it has no major"),
        ("data.a/b~c", "no member 'a/b~c' in data"),
    ],
)
def test_a_path_that_the_template_does_not_have_is_refused_at_its_pointer(path: str, words: str):
    ((pointer, message),) = refused(None, {path: 1})
    assert pointer == f"/overrides/{path.replace('~', '~0').replace('/', '~1')}"
    assert words in message


def test_a_value_with_which_the_collection_can_not_be_generated_is_refused_at_its_override():
    assert [pointer for pointer, _ in refused(None, {PROMPT: "{{nobody}}"})] == [f"/overrides/{PROMPT}"]
    inside = {"data.steps[0].nodePayload": {"prompt": "{{nobody}}"}}
    assert [pointer for pointer, _ in refused(None, inside)] == ["/overrides/data.steps[0].nodePayload/prompt"]
    # The fault is where the template uses what the override took away.
    assert {pointer for pointer, _ in refused(None, {"data.variables": []})} == {"/overrides"}


def test_overrides_inside_each_other_are_refused():
    ((pointer, _),) = refused(None, {"data.steps[0]": {}, PROMPT: "a whale"})
    assert pointer == f"/overrides/{PROMPT}"


def test_there_are_at_most_200_overrides():
    ((pointer, message),) = refused(None, {f"data.x{number}": 1 for number in range(201)})
    assert (pointer, "more than 200" in message) == ("/overrides", True)


def test_every_path_is_read_back_from_its_text():
    for path in (("data", "steps", 0, "nodePayload", "prompt"), ("a",), ("a b", 1, 2, "é")):
        assert read_path(template.path_text(path)) == path


def test_an_image_that_is_still_to_be_fetched_is_refused_at_its_place():
    """The edge has it fetched: it is a mistake of who sends it here. As a text, the word is a value as any other."""
    refuse_web_images({PROMPT: "$fetch", "data.a": [{"x": "$fetch"}], "title": None})
    image = {"$fetch": "https://art.example/a.png"}
    with pytest.raises(Problem) as raised:
        refuse_web_images({"data.a/b": [1, {"x": image}], "images": [image]})
    assert [detail.pointer for detail in raised.value.details] == [
        "/overrides/data.a~1b/1/x/$fetch",
        "/overrides/images/0/$fetch",
    ]
    assert "POST /assets/fetch" in raised.value.detail


def test_fields_are_the_templates_title_and_description_with_changes():
    source = template_of(title="Birds", description="Many", blockchain="BASE", editions=5)
    fields = filled_fields(source, FieldChanges(title="Whales"))
    assert (fields.title, fields.description, fields.blockchain, fields.editions) == ("Whales", "Many", None, None)
    with pytest.raises(Problem) as raised:
        filled_fields(source, FieldChanges(title="x" * 201, batch_max_tokens=0))
    assert [detail.pointer for detail in raised.value.details] == ["/overrides/title", "/overrides/batch_max_tokens"]
    with pytest.raises(Problem) as raised:
        filled_fields(source, FieldChanges(editions=2, batch_max_tokens=3))
    assert [detail.pointer for detail in raised.value.details] == ["/overrides/batch_max_tokens"]


AS_BY_DEFAULT = PreviewChanges()


def from_template(preview: PreviewChanges = AS_BY_DEFAULT, custody: Custody = CUSTODY) -> CreateFromTemplate:
    source = template_of()
    return CreateFromTemplate(
        collection_id=COLLECTION,
        project_id=OTHER_PROJECT,
        user_id=BOB,
        template_id=ALICE,
        fields=source.fields,
        data=source.data,
        component_ids=(2001, 2002),
        custody=custody,
        preview=preview,
    )


def test_a_collection_from_a_template_has_its_own_components_its_preview_and_its_custody():
    changes = PreviewChanges(enabled=True, max_generations=1)
    first, second, third, last = given(collection).when(from_template(changes)).outcome
    assert (type(first), type(second)) == events.EVENTS_OF_CREATION
    assert [(step["id"], step["fromId"]) for step in first.data["steps"]] == [(2001, 1001), (2002, 1002)]
    assert (first.user_id, first.forked_from) == (BOB, ALICE)
    assert third == events.PreviewConfigured(
        COLLECTION, enabled=True, max_generations=1, is_remixable=False, paid_by="visitor"
    )
    assert last == events.CustodyTaken(COLLECTION, "farcaster", "carol")


def test_a_preview_that_is_as_by_default_is_not_configured():
    assert len(given(collection).when(from_template(PreviewChanges(enabled=False))).outcome) == 3


def test_faults_of_preview_and_custody_have_their_pointers():
    wrong = PreviewChanges(max_generations=0)
    given(collection).when(from_template(wrong)).then_refused(
        "VALIDATION_FAILED", "/collection_preview/max_generations"
    )
    given(collection).when(from_template(custody=Custody("myspace", " "))).then_refused(
        "VALIDATION_FAILED", "/social_org", "/social_identifier"
    )


def test_an_override_that_makes_the_data_too_large_is_refused_at_the_overrides():
    command = from_template()
    large = msgspec.structs.replace(command, data={**command.data, "notes": "x" * 2_000_000})
    given(collection).when(large).then_refused("VALIDATION_FAILED", "/overrides")
