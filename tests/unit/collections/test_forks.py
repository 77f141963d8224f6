"""Forks: who may remix which collection, and the events of a remix and of a transfer."""

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
VISIBLE = events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=False)
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


def test_a_fork_is_a_draft_with_new_components():
    """Its title has the original's, its components are its own, and its price, editions and blockchain are not set."""
    history = (*created(title="Birds", description="Many", editions=5, blockchain="BASE"), PUBLISHED, OPENED)
    fork_created, preview = given(collection).when(fork(*history)).outcome
    assert isinstance(fork_created, events.CollectionCreated)
    assert (type(fork_created), type(preview)) == events.EVENTS_OF_CREATION
    assert (fork_created.title, fork_created.description, fork_created.forked_from) == (
        "Fork of Birds",
        "Many",
        COLLECTION,
    )
    assert (fork_created.collection_id, fork_created.user_id, fork_created.project_id) == (FORK, BOB, OTHER_PROJECT)
    assert (fork_created.editions, fork_created.blockchain, fork_created.price) == (None, None, None)
    assert [(step["id"], step["fromId"]) for step in fork_created.data["steps"]] == [(2001, 1001), (2002, 1002)]
    assert fork_created.data["steps"][1]["nodePayload"]["image"] == {"$ref": 2001}
    assert preview == events.PreviewCreated(FORK, enabled=False, max_generations=3, is_remixable=False)


def test_the_title_of_a_fork_is_bounded():
    fork_created, _ = given(collection).when(fork(*created(title="x" * 200), OPENED)).outcome
    assert len(fork_created.title) == 200


def test_an_owner_may_always_fork():
    assert len(given(collection).when(fork(*created(), ARCHIVED, user=ALICE)).outcome) == 2


@pytest.mark.parametrize("history", [(), (*created(),), (*created(), PUBLISHED, OPENED, ARCHIVED)])
def test_a_fork_of_an_invisible_collection_is_not_found(history):
    given(collection).when(fork(*history)).then_refused("NOT_FOUND")


@pytest.mark.parametrize("history", [(*created(), PUBLISHED), (*created(), VISIBLE)])
def test_a_fork_of_a_collection_that_is_not_remixable_is_refused(history):
    given(collection).when(fork(*history)).then_refused("VALIDATION_FAILED")


def test_a_fork_may_be_in_custody():
    custody = Custody("farcaster", "carol")
    *_, event = given(collection).when(fork(*created(), OPENED, custody=custody)).outcome
    assert event == events.CustodyTaken(FORK, "farcaster", "carol")


def test_custody_needs_a_known_organisation_and_an_identifier():
    given(collection).when(fork(*created(), OPENED, custody=Custody("myspace", " "))).then_refused(
        "VALIDATION_FAILED", "/social_org", "/social_identifier"
    )


def test_a_transfer_ends_custody():
    """The new owner has the collection in one of their projects."""
    history = (*created(), events.CustodyTaken(COLLECTION, "github", "carol"))
    transferred = events.CustodyTransferred(COLLECTION, BOB, OTHER_PROJECT)
    given(collection, *history).when(TransferCustody(ALICE, BOB, OTHER_PROJECT)).then(transferred)
    after = given(collection, *history, transferred)
    assert (after.state.user_id, after.state.project_id, after.state.custody) == (BOB, OTHER_PROJECT, None)
    after.when(TransferCustody(ALICE, BOB, OTHER_PROJECT)).then_refused("NOT_FOUND")


def test_a_transfer_without_custody_is_refused():
    given(collection, *created()).when(TransferCustody(ALICE, BOB, OTHER_PROJECT)).then_refused("CONFLICT")
