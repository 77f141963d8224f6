"""Who may remix which collection, and what comes of it."""

from functools import reduce
from uuid import UUID

import pytest

from services.collections.domain.collection import state as collection
from services.collections.domain.collection.creation import ForkCollection
from services.collections.domain.collection.custody import TransferCustody
from services.collections.domain.collection.state import Custody
from shared.contracts import collections as events
from tests.unit.collections.specification import ALICE, BOB, COLLECTION, OTHER_PROJECT, PROJECT, created, given

FORK = UUID(int=200)
OPENED = events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=True)
SHOWN = events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=False)
PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00.000Z")
ARCHIVED = events.CollectionArchived(COLLECTION)


def fork(*history, user=BOB, custody=None) -> ForkCollection:
    return ForkCollection(
        collection_id=FORK,
        project_id=OTHER_PROJECT,
        user_id=user,
        source=reduce(collection.evolve, history, collection.NOTHING),
        component_ids=(2001, 2002),
        custody=custody,
    )


def test_a_fork_is_a_draft_of_ones_own():
    """With a title that says where it is from, components of its own, and nothing of the original's sale."""
    history = (*created(title="Birds", description="Many", editions=5, blockchain="BASE"), PUBLISHED, OPENED)
    made, preview = given(collection).when(fork(*history)).outcome
    assert isinstance(made, events.CollectionCreated)
    assert (made.title, made.description, made.forked_from) == ("Fork of Birds", "Many", COLLECTION)
    assert (made.collection_id, made.user_id, made.project_id) == (FORK, BOB, OTHER_PROJECT)
    assert (made.editions, made.blockchain, made.price) == (None, None, None)
    assert [(step["id"], step["fromId"]) for step in made.data["steps"]] == [(2001, 1001), (2002, 1002)]
    assert made.data["steps"][1]["nodePayload"]["image"] == {"$ref": 2001}
    assert preview == events.PreviewCreated(FORK, enabled=False, max_generations=3, is_remixable=False)


def test_a_title_stays_within_its_bounds():
    made, _ = given(collection).when(fork(*created(title="x" * 200), OPENED)).outcome
    assert len(made.title) == 200


def test_ones_own_may_always_be_forked():
    assert len(given(collection).when(fork(*created(), ARCHIVED, user=ALICE)).outcome) == 2


@pytest.mark.parametrize("history", [(), (*created(),), (*created(), PUBLISHED, OPENED, ARCHIVED)])
def test_what_nobody_sees_is_not_found(history):
    given(collection).when(fork(*history)).then_refused("NOT_FOUND")


@pytest.mark.parametrize("history", [(*created(), PUBLISHED), (*created(), SHOWN)])
def test_what_is_shown_is_not_always_open(history):
    given(collection).when(fork(*history)).then_refused("VALIDATION_FAILED")


def test_a_fork_may_be_kept_for_somebody_else():
    custody = Custody("farcaster", "carol")
    *_, taken = given(collection).when(fork(*created(), OPENED, custody=custody)).outcome
    assert taken == events.CustodyTaken(FORK, "farcaster", "carol")


def test_custody_names_a_known_place_and_somebody_there():
    given(collection).when(fork(*created(), OPENED, custody=Custody("myspace", " "))).then_refused(
        "VALIDATION_FAILED", "/social_org", "/social_identifier"
    )


def test_custody_ends_with_the_one_it_was_kept_for():
    """From then on the collection is theirs, in a project of theirs."""
    history = (*created(), events.CustodyTaken(COLLECTION, "github", "carol"))
    handed = events.CustodyTransferred(COLLECTION, BOB, OTHER_PROJECT)
    given(collection, *history).when(TransferCustody(ALICE, BOB, OTHER_PROJECT)).then(handed)
    after = given(collection, *history, handed)
    assert (after.state.user_id, after.state.project_id, after.state.custody) == (BOB, OTHER_PROJECT, None)
    after.when(TransferCustody(ALICE, BOB, OTHER_PROJECT)).then_refused("NOT_FOUND")


def test_only_what_is_kept_for_another_is_handed_over():
    given(collection, *created()).when(TransferCustody(ALICE, BOB, OTHER_PROJECT)).then_refused("CONFLICT")
