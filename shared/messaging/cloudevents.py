"""An event as a message and back: CloudEvents 1.0 in binary mode, the stored bytes as the body.

Headers `ce-…` are those of the NATS protocol binding of CloudEvents. Our extensions are `ce-epoch`, `ce-position` and
`ce-streamversion` (its place in its owner's store and in its stream), and `ce-actor`, `ce-commandid`,
`ce-correlationid`, `ce-causationid` (its context). `traceparent` is that of W3C Trace Context.

A message with `ce-withheld` replaces an event that the broker refused: it has the reason and no body. `ce-late` marks
such an event when it is published later, because an operator retried it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote
from uuid import UUID

import msgspec

from shared.eventstore import Codec, Context, RecordedEvent, UndecodedEvent
from shared.handling.delivery import Malformed, decoding
from shared.messaging.streams import FIRST_EPOCH, MSG_ID, message_id, subject_of

CONTENT_TYPE = "application/json"
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '%"')

WITHHELD = "ce-withheld"
LATE = "ce-late"

_IDENTITY = {
    *("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time"),
    *("ce-epoch", "ce-position", "ce-streamversion"),
}

Headers = Mapping[str, str]


class ReceivedEvent(RecordedEvent, frozen=True):
    """An event as its owner's store holds it, and in which epoch of that store it was recorded."""

    epoch: int = FIRST_EPOCH


class Identity(NamedTuple):
    """What the headers of a message contain about its event."""

    event_id: UUID
    stream_id: UUID
    position: int
    recorded_at: datetime
    epoch: int


def event_subject(service: str, recorded: RecordedEvent | UndecodedEvent) -> str:
    """The subject under which a service's relay publishes an event."""
    return subject_of(service, recorded.aggregate, recorded.stream_id, recorded.stored_type)


def source(service: str) -> str:
    """The `ce-source` of a service."""
    return f"/emprops/{service}"


def event_headers(service: str, recorded: RecordedEvent | UndecodedEvent, epoch: int = FIRST_EPOCH) -> dict[str, str]:
    """All headers of an event but `Nats-Msg-Id`; `epoch` is that of its position."""
    context = recorded.context
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(recorded.event_id),
        "ce-source": source(service),
        "ce-type": recorded.stored_type,
        "ce-subject": str(recorded.stream_id),
        "ce-time": recorded.recorded_at.isoformat(),
        "content-type": CONTENT_TYPE,
        "ce-epoch": str(epoch),
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
    """The identity of the message's event; None if headers are missing or malformed."""
    try:
        position, epoch = int(headers["ce-position"]), int(headers.get("ce-epoch", FIRST_EPOCH))
        recorded_at = datetime.fromisoformat(headers["ce-time"])
        identity = Identity(UUID(headers["ce-id"]), UUID(headers["ce-subject"]), position, recorded_at, epoch)
    except (KeyError, ValueError):
        return None
    return identity if 0 < position < 2**63 and 0 < epoch < 2**31 and recorded_at.tzinfo else None


def foreign_reason(owner: str, headers: Headers, identity: Identity | None) -> str | None:
    """Why a message can't be from its owner's relay; None if all its headers are those that the relay sends.

    The NATS permissions allow only the owner's relay to publish there; this finds messages that came in by mistake.
    """
    if identity is None:
        return "ce-id and ce-subject must be UUIDs, ce-epoch and ce-position numbers, ce-time a time with a UTC offset"
    if headers.get("ce-source") != source(owner):
        return f"its source is {headers.get('ce-source')}, not {source(owner)}"
    expected = message_id(owner, identity.epoch, identity.position)
    if headers.get(LATE):
        expected = late_id(expected)
    if headers.get(MSG_ID) != expected:
        return f"its {MSG_ID} is {headers.get(MSG_ID)}, not {expected}"
    return None


def withheld_headers(headers: Headers, reason: str) -> dict[str, str]:
    """The headers of the message that replaces a refused event: which event it is, and the reason."""
    identity = {name: value for name, value in headers.items() if name in _IDENTITY}
    return {**identity, WITHHELD: quote(reason, safe=_PLAIN + " ")[:200]}


def late_id(message_id: str) -> str:
    """The `Nats-Msg-Id` of an event that is published after later events."""
    return f"{message_id}:late"


def read_event(
    owner: str, codec: Codec, subject: str, headers: Headers, body: bytes, identity: Identity | None = None
) -> ReceivedEvent:
    """The event that a message carries, as its owner's store holds it. Raises Malformed with the reason.

    `identity` is that of the headers, where it has been read.
    """
    if reason := headers.get(WITHHELD):
        raise Malformed(
            f"its owner's broker refused this event ({reason}): it is published once an operator retries it there"
        )
    try:
        tag = headers["ce-type"]
        identity = identity or identify(headers)
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
        raise Malformed(foreign_reason(owner, headers, identity) or "it has no identity")
    with decoding(tag):
        event = codec.decode(tag, body)
    expected = subject_of(owner, event.aggregate, identity.stream_id, tag)
    if subject != expected:
        raise Malformed(f"the headers belong to the subject {expected}, not to {subject}")
    return ReceivedEvent(
        identity.position,
        identity.event_id,
        identity.stream_id,
        version,
        tag,
        event,
        body,
        msgspec.json.encode(context),
        identity.recorded_at,
        identity.epoch,
    )


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None
