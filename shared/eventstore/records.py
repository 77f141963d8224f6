"""The types that the event store takes and returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event, event_type


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who issued a command, and what caused it; stored beside each event as its metadata.

    `command_id` identifies the command: an append that is sent twice under one id is recorded once. `repeatable` says
    that the command may have been sent before (a client's Idempotency-Key), so the store looks for its events before it
    decides. `fingerprint` identifies the request's content: a command id can't be used for other content.
    """

    command_id: UUID
    actor: str
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    traceparent: str | None = None
    repeatable: bool = False
    fingerprint: str | None = None

    def caused(self, event_id: UUID, by: str) -> "Context":
        """The context of the one command that `by` (a consumer or process) derives from an event."""
        return Context(
            command_id=uuid5(event_id, by),
            actor=by,
            correlation_id=self.correlation_id or self.command_id,
            causation_id=event_id,
            traceparent=self.traceparent,
        )

    def for_publication(self, traceparent: str) -> "Context":
        """The part to publish, with another traceparent: only the own store needs `repeatable` and `fingerprint`."""
        return Context(self.command_id, self.actor, self.correlation_id, self.causation_id, traceparent)


def event_id(command_id: UUID, index: int) -> UUID:
    """The id of a command's event: uuid5(command_id, str(index)), in half the time of the standard library's uuid5."""
    return UUID(bytes=sha1(command_id.bytes + b"%d" % index, usedforsecurity=False).digest()[:16], version=5)


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event, as it is stored and decoded.

    `event` is in the newest version of its type; `stored_type` and `data` are the tag and the JSON under which it was
    stored; `metadata` is a Context as JSON bytes.
    """

    position: int
    event_id: UUID
    stream_id: UUID
    version: int
    stored_type: str
    event: Event
    data: bytes
    metadata: bytes
    recorded_at: datetime

    @property
    def type(self) -> str:
        """The tag of the newest version: filters and folds compare this one."""
        return event_type(self.event)

    @property
    def aggregate(self) -> str:
        """The name of the event's aggregate."""
        return self.event.aggregate

    @property
    def context(self) -> Context:
        """The context of the command that recorded the event."""
        return decode_context(self.metadata)


class UndecodedEvent(msgspec.Struct, frozen=True):
    """An event as it is stored, for readers that pass it on without decoding it."""

    position: int
    event_id: UUID
    stream_id: UUID
    version: int
    stored_type: str
    data: bytes
    metadata: bytes
    recorded_at: datetime
    aggregate: str

    @property
    def context(self) -> Context:
        """The context of the command that recorded the event."""
        return decode_context(self.metadata)


_context = msgspec.json.Decoder(Context)


def decode_context(metadata: bytes) -> Context:
    """The context that an event's metadata holds."""
    return _context.decode(metadata)


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """Events for one stream. `expected_version` is that of the stream's last event, or 0 for a new stream."""

    stream_id: UUID
    expected_version: int
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Appended:
    """The result of an append. `replayed`: the command was recorded before, and this is its first result."""

    position: int
    """Position of the last event written."""
    versions: dict[UUID, int] = field(default_factory=dict)
    replayed: bool = False
    recorded_at: datetime | None = field(default=None, compare=False)
    """When the events were recorded; None for a replayed append."""


class VersionConflict(Exception):  # noqa: N818 - the name of the API's error code
    """The stream is not at the version on which the decision was based, because of another command."""

    def __init__(self, stream_id: UUID, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream_id} is at version {actual}, not at {expected}")
        self.stream_id, self.expected, self.actual = stream_id, expected, actual


class StoreUnavailable(Exception):  # noqa: N818 - a state of the store, not a fault of the call
    """PostgreSQL did not answer in time.

    `maybe_done`: an append was sent and not answered, so it may have been recorded; repeat it under the same command
    id. Otherwise it is certain that nothing was recorded.
    """

    def __init__(self, message: str, *, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done
