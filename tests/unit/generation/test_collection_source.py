"""What generation knows of a collection follows the collections service's events, and never goes back."""

from uuid import UUID

import pytest

from services.generation.consumers import adoption
from services.generation.domain.collection_source import Adopt, CollectionSource, Revise, decide, evolve
from shared.contracts.collections import CustodyTransferred
from shared.contracts.event import event_type
from shared.contracts.generation import CollectionAdopted
from shared.eventstore import RecordedEvent
from tests.unit.generation.builders import COLLECTION, PROJECT, USER, after

CREATED = Adopt(COLLECTION, PROJECT, USER, "Foxes", {"version": "v2"}, encryption_enabled=False, source_version=1)


def given(*commands):
    state = CollectionSource()
    for command in commands:
        state = after(evolve, state, decide(command, state))
    return state


def test_a_created_collection_is_adopted_once():
    """The same event again changes nothing."""
    [adopted] = decide(CREATED, CollectionSource())
    assert isinstance(adopted, CollectionAdopted)
    assert decide(CREATED, given(CREATED)) == []


def test_a_revision_changes_what_it_says_and_keeps_the_rest():
    """Title, data and encryption are each told by an event of their own."""
    state = given(
        CREATED,
        Revise(COLLECTION, 3, title="Wolves"),
        Revise(COLLECTION, 4, data={"version": "v2", "steps": []}),
        Revise(COLLECTION, 5, encryption_enabled=True),
    )
    assert (state.title, state.data, state.encryption_enabled) == ("Wolves", {"version": "v2", "steps": []}, True)
    assert (state.user_id, state.source_version) == (USER, 5)


def test_what_is_older_than_what_is_known_changes_nothing():
    """A revision that comes twice, or late."""
    state = given(CREATED, Revise(COLLECTION, 3, title="Wolves"))
    assert decide(Revise(COLLECTION, 3, title="Owls"), state) == []
    assert decide(Revise(COLLECTION, 2, title="Owls"), state) == []


def test_a_new_owner_has_the_collection_and_its_project():
    """Also when what happened after the handover was heard of first: the consumer did not always listen for it."""
    owner, project = UUID(int=77), UUID(int=78)
    handover = Revise(COLLECTION, 3, user_id=owner, project_id=project)
    state = given(CREATED, handover)
    assert (state.user_id, state.project_id, state.title, state.source_version) == (owner, project, "Foxes", 3)
    late = given(CREATED, Revise(COLLECTION, 5, title="Owls"), handover)
    assert (late.user_id, late.project_id, late.title, late.source_version) == (owner, project, "Owls", 5)
    assert decide(handover, late) == []


def test_a_custody_transfer_is_a_handover():
    event = CustodyTransferred(COLLECTION, UUID(int=77), UUID(int=78))
    recorded = RecordedEvent(9, UUID(int=1), COLLECTION, 4, event_type(event), event, b"", b"", None)
    assert adoption(recorded) == Revise(COLLECTION, 4, user_id=UUID(int=77), project_id=UUID(int=78))


def test_a_revision_before_the_creation_is_an_error():
    """It must wait, not be lost."""
    with pytest.raises(LookupError):
        decide(Revise(COLLECTION, 2, title="Owls"), CollectionSource())
