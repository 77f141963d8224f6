"""Contexts of commands, and the ids that are derived from a command's id."""

from uuid import UUID, uuid4, uuid5

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.eventstore import Context
from shared.eventstore.records import event_id


@given(st.uuids(), st.integers(0, 20_000))
def test_event_ids_are_derived_from_the_command(command_id: UUID, index: int) -> None:
    """uuid5 (RFC 9562) of the command's id and the event's index."""
    assert event_id(command_id, index) == uuid5(command_id, str(index))


def test_the_id_of_a_caused_command_is_derived() -> None:
    """From the ids of the event and the consumer, so each redelivery results in the same command."""
    first = Context(uuid4(), "user:ada", traceparent="00-1-2-01", repeatable=True)
    event = uuid4()
    caused = first.caused(event, "credits-jobs-v1")
    assert caused == first.caused(event, "credits-jobs-v1")
    assert caused.command_id == uuid5(event, "credits-jobs-v1")
    assert caused.command_id != first.caused(event, "credits-jobs-v2").command_id
    assert (caused.actor, caused.causation_id) == ("credits-jobs-v1", event)
    assert caused.traceparent == first.traceparent
    assert not caused.repeatable


def test_caused_commands_keep_the_correlation_id() -> None:
    """That of the first command, or its own id."""
    first = Context(uuid4(), "user:ada")
    second = first.caused(uuid4(), "a")
    third = second.caused(uuid4(), "b")
    assert second.correlation_id == third.correlation_id == first.command_id


def test_metadata_omits_absent_fields() -> None:
    """They are decoded as absent."""
    context = Context(UUID(int=7), "user:ada")
    metadata = msgspec.json.encode(context)
    assert metadata == b'{"command_id":"00000000-0000-0000-0000-000000000007","actor":"user:ada"}'
    assert msgspec.json.decode(metadata, type=Context) == context
