"""What an edit of a collection says, and what it may not touch."""

from decimal import Decimal

import pytest

from services.collections.domain import collection
from services.collections.domain.collection import (
    ArchiveCollection,
    EditCollection,
    PublishCollection,
    RestoreCollection,
)
from services.collections.domain.fields import FieldChanges
from shared.contracts import collections as events
from tests.unit.collections.specification import (
    ALICE,
    BOB,
    COLLECTION,
    OTHER_PROJECT,
    PROJECT,
    created,
    given,
    two_steps,
)

PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00Z")
ARCHIVED = events.CollectionArchived(COLLECTION)


def edit(data=None, *, ids=(), user=ALICE, project=PROJECT, **changes) -> EditCollection:
    return EditCollection(
        user_id=user, project_id=project, changes=FieldChanges(**changes), data=data, component_ids=ids
    )


def test_each_change_is_a_fact_of_its_own():
    command = edit(
        title="Fish",
        description="Swimming",
        blockchain="TEZOS",
        editions=20,
        price=Decimal("1.50"),
        batch_mint_enabled=True,
        encryption_enabled=True,
        cover_image_url="https://example.com/fish.png",
        images=["https://example.com/1.png"],
    )
    given(collection, *created(title="Birds")).when(command).then(
        events.CollectionRetitled(COLLECTION, "Fish"),
        events.CollectionDescribed(COLLECTION, "Swimming"),
        events.ChainChosen(COLLECTION, "TEZOS"),
        events.EditionsSet(COLLECTION, 20),
        events.CollectionPriced(COLLECTION, "1.5"),
        events.BatchMintingConfigured(COLLECTION, batch_mint_enabled=True, batch_max_tokens=None),
        events.EncryptionChosen(COLLECTION, encryption_enabled=True),
        events.CoverImageChosen(COLLECTION, "https://example.com/fish.png"),
        events.ImagesArranged(COLLECTION, ["https://example.com/1.png"]),
    )


def test_what_was_edited_is_what_the_collection_is():
    """Folding the events of an edit gives the fields that were sent."""
    history = created(title="Birds")
    edited = given(collection, *history).when(edit(title="Fish", price=Decimal(2)))
    state = given(collection, *history, *edited.outcome).state
    assert (state.fields.title, state.fields.price) == ("Fish", "2")


def test_the_same_again_is_no_news():
    """Editing to what is already so, data with its component ids included, records nothing."""
    history = created(title="Birds", price=Decimal("0.5"))
    command = edit(history[0].data, ids=(), title="Birds", price=Decimal("0.50"))
    given(collection, *history).when(command).then_nothing_happens()


def test_revised_instructions_keep_the_components_that_stay():
    """A new step gets a component of its own, and references to old and new steps are right."""
    history = created(ids=(1001, 1002))
    data = history[0].data
    added = {"id": 7, "nodeName": "caption", "nodePayload": {"text": "{{$ref:1002}}"}}
    first = data["steps"][0] | {"nodePayload": {"prompt": "after {{$ref:7}}"}}
    second = data["steps"][1] | {"nodePayload": {}}
    outcome = given(collection, *history).when(edit(data | {"steps": [first, second, added]}, ids=(2001, 2002, 2003)))
    (revised,) = outcome.outcome
    assert isinstance(revised, events.InstructionsRevised)
    assert [step["id"] for step in revised.data["steps"]] == [1001, 1002, 2001]
    assert [step["fromId"] for step in revised.data["steps"]] == [1, 2, 7]
    assert revised.data["steps"][0]["nodePayload"] == {"prompt": "after {{$ref:2001}}"}
    assert revised.data["steps"][2]["nodePayload"] == {"text": "{{$ref:1002}}"}


def test_a_step_that_was_taken_out_comes_back_with_its_component():
    history = created(ids=(1001, 1002))
    without = history[0].data | {"steps": history[0].data["steps"][:1]}
    (taken_out,) = given(collection, *history).when(edit(without)).outcome
    given(collection, *history, taken_out).when(edit(history[0].data)).then(
        events.InstructionsRevised(COLLECTION, history[0].data)
    )


def test_faulty_instructions_are_refused():
    data = two_steps() | {"version": "v9"}
    given(collection, *created()).when(edit(data)).then_refused("VALIDATION_FAILED", "/data/version")


@pytest.mark.parametrize("command", [edit(user=BOB), edit(project=OTHER_PROJECT)])
def test_nobody_elses_collection_is_edited(command):
    given(collection, *created()).when(command).then_refused("NOT_FOUND")


def test_a_collection_that_does_not_exist_is_not_edited():
    given(collection).when(edit(title="Fish")).then_refused("NOT_FOUND")


def test_what_was_sold_does_not_change():
    data = created()[0].data
    other = data | {"steps": data["steps"][:1]}
    command = edit(other, title="Fish", editions=1, blockchain="BASE", description="fine")
    given(collection, *created(title="Birds"), PUBLISHED).when(command).then_refused(
        "VALIDATION_FAILED", "/title", "/blockchain", "/editions", "/data"
    )


def test_what_was_not_sold_may_still_change():
    command = edit(description="New words", price=Decimal(3))
    given(collection, *created(), PUBLISHED).when(command).then(
        events.CollectionDescribed(COLLECTION, "New words"), events.CollectionPriced(COLLECTION, "3")
    )


def test_a_draft_is_published_once():
    given(collection, *created()).when(PublishCollection(ALICE, PUBLISHED.publish_date)).then(PUBLISHED)
    given(collection, *created(), PUBLISHED).when(
        PublishCollection(ALICE, "2027-01-01T00:00:00Z")
    ).then_nothing_happens()


def test_an_incomplete_draft_is_not_published():
    history = created({"version": "v2", "steps": []}, ids=(), title=" ")
    given(collection, *history).when(PublishCollection(ALICE, PUBLISHED.publish_date)).then_refused(
        "VALIDATION_FAILED", "/title", "/data/steps"
    )


def test_only_its_owner_publishes_archives_and_restores():
    for command in (PublishCollection(BOB, PUBLISHED.publish_date), ArchiveCollection(BOB), RestoreCollection(BOB)):
        given(collection, *created()).when(command).then_refused("NOT_FOUND")


def test_archiving_and_restoring_say_so_once():
    given(collection, *created()).when(ArchiveCollection(ALICE)).then(ARCHIVED)
    given(collection, *created(), ARCHIVED).when(ArchiveCollection(ALICE)).then_nothing_happens()
    given(collection, *created(), ARCHIVED).when(RestoreCollection(ALICE)).then(events.CollectionRestored(COLLECTION))
    given(collection, *created()).when(RestoreCollection(ALICE)).then_nothing_happens()


def test_an_archived_collection_is_restored_before_anything_else():
    for command in (edit(title="Fish"), PublishCollection(ALICE, PUBLISHED.publish_date)):
        given(collection, *created(), ARCHIVED).when(command).then_refused("CONFLICT")
