"""An event as a message and back: CloudEvents 1.0 in binary mode, the stored bytes as the body.

Headers `ce-…` as in the NATS protocol binding of CloudEvents; extensions of ours: `ce-position` and `ce-streamversion`
(where it stands in its owner's store), `ce-actor`, `ce-commandid`, `ce-correlationid`, `ce-causationid` (its context);
`traceparent` as in W3C Trace Context.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.eventstore import Codec, Context, RecordedEvent, UndecodedEvent, UnknownEventType
from shared.messaging.streams import subject_of

CONTENT_TYPE = "application/json"
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '%"')

Headers = Mapping[str, str]


class Malformed(Exception):  # noqa: N818 - names what was found
    """A message that is not one of ours, or of a contract that this consumer does not know."""


class Identity(NamedTuple):
    """What a message says it is, as far as that can be read."""

    event_id: UUID
    stream_id: UUID
    position: int
    recorded_at: datetime


def event_subject(service: str, recorded: RecordedEvent | UndecodedEvent) -> str:
    return subject_of(service, recorded.aggregate, recorded.stream_id, recorded.stored_type)


def event_headers(service: str, recorded: RecordedEvent | UndecodedEvent) -> dict[str, str]:
    context = recorded.context
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(recorded.event_id),
        "ce-source": f"/emprops/{service}",
        "ce-type": recorded.stored_type,
        "ce-subject": str(recorded.stream_id),
        "ce-time": recorded.recorded_at.isoformat(),
        "content-type": CONTENT_TYPE,
        "ce-position": str(recorded.position),
        "ce-streamversion": str(recorded.version),
        "ce-actor": quote(context.actor, safe=_PLAIN),
        "ce-commandid": str(context.command_id),
    }
    if context.correlation_id:
        headers["ce-correlationid"] = str(context.correlation_id)
    if context.causation_id:
        headers["ce-causationid"] = str(context.causation_id)
    if context.traceparent:
        headers["traceparent"] = context.traceparent
    return headers


def identify(headers: Headers) -> Identity | None:
    """Which event of which stream this is; None when the message does not say so in a form that can be believed."""
    try:
        position, recorded_at = int(headers["ce-position"]), datetime.fromisoformat(headers["ce-time"])
        identity = Identity(UUID(headers["ce-id"]), UUID(headers["ce-subject"]), position, recorded_at)
    except (KeyError, ValueError):
        return None
    return identity if 0 < position < 2**63 and recorded_at.tzinfo else None


def read_event(owner: str, codec: Codec, subject: str, headers: Headers, body: bytes) -> RecordedEvent:
    """The event that a message carries, as its owner's store holds it. Raises Malformed with the reason."""
    try:
        tag = headers["ce-type"]
        identity = identify(headers)
        version = int(headers["ce-streamversion"])
        context = Context(
            command_id=UUID(headers["ce-commandid"]),
            actor=unquote(headers["ce-actor"]),
            correlation_id=_uuid(headers.get("ce-correlationid")),
            causation_id=_uuid(headers.get("ce-causationid")),
            traceparent=headers.get("traceparent"),
        )
    except KeyError as error:
        raise Malformed(f"the header {error.args[0]} is missing") from error
    except ValueError as error:
        raise Malformed(f"a header has the wrong form: {error}") from error
    if identity is None:
        raise Malformed("ce-id and ce-subject must be UUIDs, ce-position a number, ce-time a time with its zone")
    event = _decode(codec, tag, body)
    expected = subject_of(owner, event.aggregate, identity.stream_id, tag)
    if subject != expected:
        raise Malformed(f"the headers belong to the subject {expected}, not to {subject}")
    return RecordedEvent(
        identity.position,
        identity.event_id,
        identity.stream_id,
        version,
        tag,
        event,
        body,
        msgspec.json.encode(context),
        identity.recorded_at,
    )


def _decode(codec: Codec, tag: str, body: bytes) -> Event:
    try:
        return codec.decode(tag, body)
    except UnknownEventType as error:
        raise Malformed(f"this consumer knows no event of type {tag}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not a {tag}: {error}") from error


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None
