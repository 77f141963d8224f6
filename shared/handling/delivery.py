"""One event that is to be handled: from a message of another service, or from the service's own store."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec

from shared.eventstore import RecordedEvent, UnknownEventType

E_co = TypeVar("E_co", bound=RecordedEvent, covariant=True)


class Malformed(Exception):  # noqa: N818 - a property of the delivery
    """A delivery that can't be read as an event its handler knows; it is parked without being retried."""


@dataclass(frozen=True)
class Message:
    """An event as it is published, or a message as far as it could be read; the form in which both are parked."""

    message_id: str
    """The event's id; for a message without one, an id that its redelivery has as well."""
    subject: str
    headers: Mapping[str, str]
    body: bytes
    stream_id: UUID | None = None
    """None for a message that names no stream: no later message waits for it."""
    position: int | None = None
    epoch: int = 1

    @property
    def type(self) -> str | None:
        """The stored tag of the event."""
        return self.headers.get("ce-type")


class Delivery(Protocol[E_co]):
    """One event, delivered to a consumer or process. The properties are those of `Message`."""

    @property
    def message_id(self) -> str:
        """The event's id; for a message without a readable one, an id that its redelivery has as well."""

    @property
    def stream_id(self) -> UUID | None:
        """The stream whose order is kept; None if it can't be read."""

    @property
    def position(self) -> int | None:
        """Its position in its owner's history; None if that can't be read."""

    @property
    def type(self) -> str | None:
        """The stored tag of the event."""

    @property
    def is_late(self) -> bool:
        """Whether it may replace a parked message that named the event without its content."""

    def read(self) -> E_co | None:
        """The event; None when its type is not one of those handled. Raises Malformed."""

    def to_message(self) -> Message:
        """The form in which it is parked."""


@contextlib.contextmanager
def decoding(tag: str) -> Iterator[None]:
    """Turns the errors of decoding an event of type `tag` into Malformed."""
    try:
        yield
    except UnknownEventType as error:
        raise Malformed(str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not a {tag}: {error}") from error
