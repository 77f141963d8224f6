"""Subjects and CloudEvents headers: what consumers of yesterday filter by and read."""

import msgspec
import pytest

from shared.eventstore import Context
from shared.messaging import ReceivedEvent
from shared.messaging.cloudevents import event_headers, event_subject, read_event
from tests.contracts import envelopes
from tests.contracts.catalogue import codec_of, event_modules
from tests.contracts.record import RECORD


@pytest.mark.parametrize("owner", event_modules())
def test_an_event_goes_out_as_it_always_did(owner: str) -> None:
    """Under the same subject, with the same headers; others may be added, which readers of yesterday pass over."""
    assert envelopes.path_of(owner).exists(), f"no envelope of {owner} is recorded. {RECORD}"
    envelope = envelopes.read(owner)
    event = envelopes.stored(owner, envelope)
    assert event_subject(owner, event) == envelope.subject
    headers = event_headers(owner, event)
    assert {name: headers.get(name) for name in envelope.headers} == envelope.headers
    assert headers.keys() == envelope.headers.keys(), f"headers of {owner} were added. {RECORD}"


@pytest.mark.parametrize("owner", event_modules())
def test_a_message_is_read_as_the_event_that_was_stored(owner: str) -> None:
    """All of it, but that its command may be repeated: that is its own service's business."""
    envelope = envelopes.read(owner)
    event = envelopes.stored(owner, envelope)
    read = read_event(owner, codec_of(owner), envelope.subject, envelope.headers, event.data)
    published_context = msgspec.structs.replace(event.context, repeatable=False)
    expected = msgspec.structs.replace(event, metadata=msgspec.json.encode(published_context))
    assert read == ReceivedEvent(*msgspec.structs.astuple(expected))


def test_metadata_is_the_context_s_json() -> None:
    """What a context does not have, its bytes do not mention: history without it stays readable, and small."""
    command = Context(command_id=envelopes.read("credits").stream_id, actor="user:1")
    assert msgspec.json.encode(command) == b'{"command_id":"%b","actor":"user:1"}' % str(command.command_id).encode()
