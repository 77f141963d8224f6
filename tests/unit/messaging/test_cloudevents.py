"""An event becomes a message and the message the same event again; anything else is called malformed, and why."""

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
def test_the_same_event_comes_back(context: Context, words: str, position: int, at: datetime, epoch: int) -> None:
    """Every field survives the way through headers and body, whatever is in it."""
    sent = recorded(context, words, position, at)
    headers = event_headers("singing", sent, epoch)
    assert all(value.isascii() and value.isprintable() for value in headers.values()), headers
    # NATS strips what stands around a header's value.
    received = {name: value.strip() for name, value in headers.items()}
    read = read_event("singing", CODEC, event_subject("singing", sent), received, sent.data)
    assert read == ReceivedEvent(*msgspec.structs.astuple(sent), epoch)
    known = identify(received)
    assert known == (sent.event_id, sent.stream_id, sent.position, sent.recorded_at, epoch)
    assert read_event("singing", CODEC, event_subject("singing", sent), received, sent.data, known) == read


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("ce-id", "7", "ce-id and ce-subject must be UUIDs"),
        ("ce-subject", "", "ce-id and ce-subject must be UUIDs"),
        ("ce-position", "first", "ce-id and ce-subject must be UUIDs"),
        ("ce-position", "0", "ce-id and ce-subject must be UUIDs"),
        ("ce-position", str(2**63), "ce-id and ce-subject must be UUIDs"),
        ("ce-streamversion", "x", "a header has the wrong form"),
        ("ce-time", "yesterday", "ce-time a time with its zone"),
        ("ce-time", "2026-11-22T12:30:00", "ce-time a time with its zone"),
        ("ce-commandid", "x", "a header has the wrong form"),
        ("ce-correlationid", "x", "a header has the wrong form"),
        ("ce-type", "danced.v1", "this release knows no event of type danced.v1"),
        ("ce-subject", str(UUID(int=1)), "the headers belong to the subject"),
    ],
)
def test_a_wrong_header_is_named(header: str, value: str, reason: str) -> None:
    """The reason is what an operator reads beside the parked message."""
    headers = event_headers("singing", SONG) | {header: value}
    with pytest.raises(Malformed, match=reason):
        read_event("singing", CODEC, event_subject("singing", SONG), headers, SONG.data)


@pytest.mark.parametrize("header", ["ce-type", "ce-streamversion", "ce-commandid", "ce-actor"])
def test_a_missing_header_is_named(header: str) -> None:
    """Without it the event would not be the one that its owner recorded."""
    headers = event_headers("singing", SONG)
    del headers[header]
    with pytest.raises(Malformed, match=f"the header {header} is missing"):
        read_event("singing", CODEC, event_subject("singing", SONG), headers, SONG.data)


@pytest.mark.parametrize("header", ["ce-id", "ce-subject", "ce-position", "ce-time"])
def test_without_its_identity_it_is_nobodys(header: str) -> None:
    """Then no stream waits for it."""
    headers = event_headers("singing", SONG)
    del headers[header]
    assert identify(headers) is None
    with pytest.raises(Malformed, match="must be UUIDs"):
        read_event("singing", CODEC, event_subject("singing", SONG), headers, SONG.data)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'{"type":"sung.v1"}', b'{"type":"sung.v1","words":1}', b"[" * 100_000, b"null"]
)
def test_a_body_that_is_not_the_event_is_malformed(body: bytes) -> None:
    """Also one that nests deeper than any decoder goes."""
    with pytest.raises(Malformed, match=r"the body is not a sung\.v1"):
        read_event("singing", CODEC, event_subject("singing", SONG), event_headers("singing", SONG), body)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40)), st.binary(max_size=100), st.text(max_size=40))
def test_garbage_is_malformed_and_nothing_else(headers: dict[str, str], body: bytes, subject: str) -> None:
    """No input makes reading fail in another way."""
    assert identify(headers) is None
    with pytest.raises(Malformed):
        read_event("singing", CODEC, subject, headers, body)
