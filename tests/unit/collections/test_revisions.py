"""What is fixed by a publication, and the revisions that later changes of what is public make."""

from decimal import Decimal
from functools import reduce

import pytest

from services.collections.domain.collection import state as collection
from services.collections.domain.collection.editing import ConfigurePreview, EditCollection, SetReceivers
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.receivers import Share
from shared.contracts import collections as events
from tests.unit.collections.specification import ALICE, COLLECTION, PROJECT, SELLABLE, SERIES, created, given

DRAFT = created(**SELLABLE)
PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00Z", SERIES, 1)
EARLY = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00Z", SERIES)
RECEIVE = SetReceivers(ALICE, PROJECT, [Share("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Decimal(5))])


def edit(**changes) -> EditCollection:
    return EditCollection(user_id=ALICE, project_id=PROJECT, changes=FieldChanges(**changes))


def revised(revision: int, *changes: str) -> events.PublicationRevised:
    return events.PublicationRevised(COLLECTION, revision, list(changes))


def test_changes_of_one_command_make_one_revision_that_names_them():
    """After the events that it is about, in the same append."""
    command = edit(description="Later", price=Decimal(2), images=["https://example.com/1.png"])
    *changes, revision = given(collection, *DRAFT, PUBLISHED).when(command).outcome
    assert [type(event) for event in changes] == [
        events.CollectionDescribed,
        events.CollectionPriced,
        events.ImagesArranged,
    ]
    assert revision == revised(2, "description", "price", "images")


def test_each_command_makes_the_next_revision():
    history = [*DRAFT, PUBLISHED]
    cover = edit(cover_image_url="ipfs://a")
    commands = {"description": edit(description="a"), "receivers": RECEIVE, "cover_image_url": cover}
    for number, (name, command) in enumerate(commands.items(), start=2):
        outcome = given(collection, *history).when(command).outcome
        assert outcome[-1] == revised(number, name)
        history += outcome
    assert reduce(collection.evolve, history, collection.NOTHING).revision == 4


def test_a_change_to_what_it_was_makes_no_revision():
    history = (*DRAFT, PUBLISHED, *given(collection, *DRAFT, PUBLISHED).when(RECEIVE).outcome)
    given(collection, *history).when(RECEIVE).then_nothing_happens()
    given(collection, *history).when(edit(price=SELLABLE["price"])).then_nothing_happens()


@pytest.mark.parametrize("command", [edit(description="a"), RECEIVE])
def test_a_draft_has_no_revisions(command):
    assert len(given(collection, *DRAFT).when(command).outcome) == 1


def test_the_preview_is_not_part_of_what_was_published():
    assert len(given(collection, *DRAFT, PUBLISHED).when(ConfigurePreview(user_id=ALICE, enabled=True)).outcome) == 1


def test_an_early_publication_is_revision_1():
    """What was changed before revisions were recorded has no number."""
    given(collection, *DRAFT, EARLY, events.CollectionDescribed(COLLECTION, "b")).when(edit(description="c")).then(
        events.CollectionDescribed(COLLECTION, "c"), revised(2, "description")
    )
