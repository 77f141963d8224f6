"""Contexts and ids: who commands, why, and what makes a command the same command."""

from uuid import UUID, uuid4, uuid5

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.eventstore import Context
from shared.eventstore.records import event_id


@given(st.uuids(), st.integers(0, 20_000))
def test_event_ids_are_derived_from_the_command(command_id: UUID, index: int) -> None:
    """By RFC 9562's uuid5 over the command's id and the event's place in it."""
    assert event_id(command_id, index) == uuid5(command_id, str(index))


def test_the_command_caused_by_an_event() -> None:
    """Its id is the event's and the consumer's, so that it comes out the same at every redelivery."""
    first = Context(uuid4(), "user:ada", traceparent="00-1-2-01", repeatable=True)
    event = uuid4()
    caused = first.caused(event, "credits-jobs-v1")
    assert caused == first.caused(event, "credits-jobs-v1")
    assert caused.command_id == uuid5(event, "credits-jobs-v1")
    assert caused.command_id != first.caused(event, "credits-jobs-v2").command_id
    assert (caused.actor, caused.causation_id) == ("credits-jobs-v1", event)
    assert caused.traceparent == first.traceparent
    assert not caused.repeatable


def test_the_correlation_goes_on() -> None:
    """The first command starts it; what follows carries it on."""
    first = Context(uuid4(), "user:ada")
    second = first.caused(uuid4(), "a")
    third = second.caused(uuid4(), "b")
    assert second.correlation_id == third.correlation_id == first.command_id


def test_metadata_holds_what_was_said() -> None:
    """Absent fields take no room in the store, and come back as absent."""
    context = Context(UUID(int=7), "user:ada")
    stored = msgspec.json.encode(context)
    assert stored == b'{"command_id":"00000000-0000-0000-0000-000000000007","actor":"user:ada"}'
    assert msgspec.json.decode(stored, type=Context) == context
