"""Events are converted to CloudEvents messages and back; other messages are malformed, with a reason."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.event import Event
from shared.eventstore import Codec, Context, RecordedEvent
from shared.handling.delivery import Malformed
from shared.messaging import ReceivedEvent
from shared.messaging.cloudevents import (
    event_headers,
    event_subject,
    identify,
    read_event,
)


class Sung(Event, frozen=True, tag="sung.v1"):
    aggregate: ClassVar[str] = "song"
    words: str


CODEC = Codec((Sung,))

contexts = st.builds(
    Context,
    command_id=st.uuids(),
    actor=st.text(max_size=50),
    correlation_id=st.none() | st.uuids(),
    causation_id=st.none() | st.uuids(),
    traceparent=st.none() | st.just(f"00-{'1' * 32}-{'2' * 16}-01"),
)


def recorded(context: Context, words: str = "la", position: int = 7, at: datetime | None = None) -> RecordedEvent:
    event = Sung(words=words)
    metadata = msgspec.json.encode(context)
    moment = at or datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
    return RecordedEvent(position, uuid4(), uuid4(), 3, "sung.v1", event, msgspec.json.encode(event), metadata, moment)


SONG = recorded(Context(uuid4(), "tester"))


@given(
    contexts,
    st.text(max_size=100),
    st.integers(min_value=1, max_value=2**63 - 1),
    st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is drawn beside
    st.integers(min_value=1, max_value=2**31 - 1),
)
def test_an_event_is_read_back_unchanged(context: Context, words: str, position: int, at: datetime, epoch: int) -> None:
    """With any values of its fields."""
    event = recorded(context, words, position, at)
    headers = event_headers("singing", event, epoch)
    assert all(value.isascii() and value.isprintable() for value in headers.values()), headers
    # NATS strips what stands around a header's value.
    received = {name: value.strip() for name, value in headers.items()}
    received_event = read_event("singing", CODEC, event_subject("singing", event), received, event.data)
    assert received_event == ReceivedEvent(*msgspec.structs.astuple(event), epoch)
    identity = identify(received)
    assert identity == (event.event_id, event.stream_id, event.position, event.recorded_at, epoch)
    assert (
        read_event("singing", CODEC, event_subject("singing", event), received, event.data, identity) == received_event
    )


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("ce-id", "7", "ce-id and ce-subject must be UUIDs"),
        ("ce-subject", "", "ce-id and ce-subject must be UUIDs"),
        ("ce-position", "first", "ce-id and ce-subject must be UUIDs"),
        ("ce-position", "0", "ce-id and ce-subject must be UUIDs"),
        ("ce-position", str(2**63), "ce-id and ce-subject must be UUIDs"),
        ("ce-streamversion", "x", "a header has the wrong form"),
        ("ce-time", "yesterday", "ce-time a time with a UTC offset"),
        ("ce-time", "2026-11-22T12:30:00", "ce-time a time with a UTC offset"),
        ("ce-commandid", "x", "a header has the wrong form"),
        ("ce-correlationid", "x", "a header has the wrong form"),
        ("ce-type", "danced.v1", "this release knows no event of type danced.v1"),
        ("ce-subject", str(UUID(int=1)), "the headers belong to the subject"),
    ],
)
def test_the_reason_names_a_malformed_header(header: str, value: str, reason: str) -> None:
    """Operators read it beside the parked message."""
    headers = event_headers("singing", SONG) | {header: value}
    with pytest.raises(Malformed, match=reason):
        read_event("singing", CODEC, event_subject("singing", SONG), headers, SONG.data)


@pytest.mark.parametrize("header", ["ce-type", "ce-streamversion", "ce-commandid", "ce-actor"])
def test_the_reason_names_a_missing_header(header: str) -> None:
    headers = event_headers("singing", SONG)
    del headers[header]
    with pytest.raises(Malformed, match=f"the header {header} is missing"):
        read_event("singing", CODEC, event_subject("singing", SONG), headers, SONG.data)


@pytest.mark.parametrize("header", ["ce-id", "ce-subject", "ce-position", "ce-time"])
def test_a_message_without_position_or_stream_belongs_to_no_stream(header: str) -> None:
    """So no stream waits for it."""
    headers = event_headers("singing", SONG)
    del headers[header]
    assert identify(headers) is None
    with pytest.raises(Malformed, match="must be UUIDs"):
        read_event("singing", CODEC, event_subject("singing", SONG), headers, SONG.data)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'{"type":"sung.v1"}', b'{"type":"sung.v1","words":1}', b"[" * 100_000, b"null"]
)
def test_a_body_that_is_not_the_event_is_malformed(body: bytes) -> None:
    """Also one that nests deeper than decoders accept."""
    with pytest.raises(Malformed, match=r"the body is not a sung\.v1"):
        read_event("singing", CODEC, event_subject("singing", SONG), event_headers("singing", SONG), body)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40)), st.binary(max_size=100), st.text(max_size=40))
def test_no_input_raises_another_error(headers: dict[str, str], body: bytes, subject: str) -> None:
    """No input makes reading fail in another way."""
    assert identify(headers) is None
    with pytest.raises(Malformed):
        read_event("singing", CODEC, subject, headers, body)
