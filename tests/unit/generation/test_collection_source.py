"""Generation's copy of a collection follows the collections service's events, and never goes back."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from services.generation.consumers import adoption
from services.generation.domain.collection_source import Adopt, CollectionSource, Revise, SourcePosition, decide, evolve
from shared.contracts.collections import CollectionArchived, CollectionPriced, CollectionRestored, CustodyTransferred
from shared.contracts.event import event_type
from shared.contracts.generation import CollectionAdopted
from shared.messaging import ReceivedEvent
from tests.unit.generation.builders import COLLECTION, PROJECT, USER, after

at = SourcePosition

CREATED = Adopt(COLLECTION, PROJECT, USER, "Foxes", {"version": "v2"}, encryption_enabled=False, source=at(1))
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


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
    """Title, data and encryption each have an event of their own."""
    state = given(
        CREATED,
        Revise(COLLECTION, at(3), title="Wolves"),
        Revise(COLLECTION, at(4), data={"version": "v2", "steps": []}),
        Revise(COLLECTION, at(5), encryption_enabled=True),
    )
    assert (state.title, state.data, state.encryption_enabled) == ("Wolves", {"version": "v2", "steps": []}, True)
    assert (state.user_id, state.source.version) == (USER, 5)


def test_what_is_older_than_what_is_known_changes_nothing():
    """A revision that comes twice, or late."""
    state = given(CREATED, Revise(COLLECTION, at(3), title="Wolves"))
    assert decide(Revise(COLLECTION, at(3), title="Owls"), state) == []
    assert decide(Revise(COLLECTION, at(2), title="Owls"), state) == []


@pytest.mark.parametrize(
    "again",
    [
        at(5, 2, LATER),
        at(4, 2, LATER),
        at(5, 2, NOON - timedelta(seconds=1)),
        at(5, 1, LATER),
    ],
)
def test_a_version_that_was_given_again_is_another_event(again):
    """The collections service was restored to an earlier moment: with or without a new epoch, in spite of a clock."""
    state = given(CREATED, Revise(COLLECTION, at(5, 1, NOON), title="Taken back"))
    anew = Revise(COLLECTION, again, title="Wolves")
    state = after(evolve, state, decide(anew, state))
    assert state.title == "Wolves"
    assert decide(anew, state) == []
    assert decide(Revise(COLLECTION, at(5, 1, NOON), title="Taken back"), state) == []
    assert given(CREATED, anew, Revise(COLLECTION, at(6, again.epoch, LATER), title="Owls")).title == "Owls"


def test_what_an_earlier_release_has_taken_in_is_known():
    """Its events say neither epoch nor time: a version is compared within the first epoch."""
    old = CollectionAdopted(COLLECTION, PROJECT, USER, "Foxes", {}, encryption_enabled=False, source_version=5)
    state = evolve(CollectionSource(), old)
    assert decide(Revise(COLLECTION, at(5, 1, NOON), title="Owls"), state) == []
    assert decide(Revise(COLLECTION, at(5, 2, NOON), title="Owls"), state) != []


def test_a_new_owner_has_the_collection_and_its_project():
    """Also when what happened after the handover was heard of first: the consumer did not always listen for it."""
    owner, project = UUID(int=77), UUID(int=78)
    handover = Revise(COLLECTION, at(3), user_id=owner, project_id=project)
    state = given(CREATED, handover)
    assert (state.user_id, state.project_id, state.title, state.source.version) == (owner, project, "Foxes", 3)
    late = given(CREATED, Revise(COLLECTION, at(5), title="Owls"), handover)
    assert (late.user_id, late.project_id, late.title, late.source.version) == (owner, project, "Owls", 5)
    assert decide(handover, late) == []


def naming(*files):
    return {"version": "v2", "steps": [{"image": f"http://edge.test/assets/{file}/content"} for file in files]}


def test_the_data_keeps_the_files_of_its_earlier_owners():
    """Those that it had at each change of its owner; of what is added later, the new owner's."""
    other, third = UUID(int=77), UUID(int=78)
    state = given(
        CREATED,
        Revise(COLLECTION, at(3), data=naming(5, 6)),
        Revise(COLLECTION, at(4), user_id=other),
        Revise(COLLECTION, at(5), data=naming(6, 7, 8)),
        Revise(COLLECTION, at(6), user_id=third),
        Revise(COLLECTION, at(7), data=naming(9)),
    )
    assert state.inherited_files == {5: USER, 6: USER, 7: other, 8: other}
    assert msgspec.json.decode(msgspec.json.encode(state), type=CollectionSource) == state


def test_a_handover_that_is_heard_of_late_hands_no_files_over():
    """The data is what the new owner has made of it, who could have written the address of any file."""
    late = Revise(COLLECTION, at(4), user_id=UUID(int=77))
    state = given(CREATED, Revise(COLLECTION, at(5), data=naming(5)), late)
    assert (state.user_id, state.inherited_files) == (UUID(int=77), {})


def received(event):
    return ReceivedEvent(9, UUID(int=1), COLLECTION, 4, event_type(event), event, b"", b"", NOON, epoch=2)


@pytest.mark.parametrize(("event", "is_archived"), [(CollectionArchived, True), (CollectionRestored, False)])
def test_archiving_is_taken(event, is_archived):
    """Also when later changes were taken first: earlier releases did not consume it."""
    command = adoption(received(event(COLLECTION)))
    assert command == Revise(COLLECTION, at(4, 2, NOON), is_archived=is_archived)
    assert given(CREATED, Revise(COLLECTION, at(3), is_archived=not is_archived), command).is_archived is is_archived
    late = given(CREATED, Revise(COLLECTION, at(5), title="Owls"), Revise(COLLECTION, at(4), is_archived=True))
    assert (late.is_archived, late.title, late.source.version) == (True, "Owls", 5)
    assert decide(Revise(COLLECTION, at(4), is_archived=True), late) == []


def test_an_archived_collection_stays_so_while_it_is_changed():
    state = given(CREATED, Revise(COLLECTION, at(3), is_archived=True), Revise(COLLECTION, at(4), title="Owls"))
    assert (state.is_archived, state.title) == (True, "Owls")


def test_what_generation_does_not_need_changes_nothing():
    """Its version is noted, see `collection_versions`."""
    assert adoption(received(CollectionPriced(COLLECTION, "1.5"))) is None


def test_a_custody_transfer_is_a_handover():
    event = CustodyTransferred(COLLECTION, UUID(int=77), UUID(int=78))
    assert adoption(received(event)) == Revise(
        COLLECTION, at(4, 2, NOON), user_id=UUID(int=77), project_id=UUID(int=78)
    )


def test_a_revision_before_the_creation_is_an_error():
    """It must wait, not be lost."""
    with pytest.raises(LookupError):
        decide(Revise(COLLECTION, at(2), title="Owls"), CollectionSource())
