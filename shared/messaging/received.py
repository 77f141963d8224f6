"""A message of another service's relay, as its consumer handles it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.eventstore import Codec
from shared.handling.delivery import Message
from shared.handling.parking import Parked
from shared.messaging.cloudevents import LATE, Identity, ReceivedEvent, read_event


@dataclass(frozen=True)
class MessageReader:
    """Reads the events of one owner that a consumer handles; `tags` are their stored types."""

    owner: str
    codec: Codec
    tags: Collection[str]

    def read(
        self, subject: str, headers: Mapping[str, str], body: bytes, identity: Identity | None = None
    ) -> ReceivedEvent | None:
        """The event; None for a version of a consumed type that is an event type of its own. Raises Malformed."""
        tag = headers.get("ce-type", "")
        if self.codec.knows(tag) and tag not in self.tags:
            return None
        return read_event(self.owner, self.codec, subject, headers, body, identity)

    async def read_parked(self, parked: Parked) -> ReceivedEvent | None:
        """As `read`, for a message that was parked."""
        return self.read(parked.subject, parked.headers, parked.body)


@dataclass(frozen=True, kw_only=True)
class ReceivedMessage(Message):
    """A delivery (`shared.handling.delivery`) whose headers have been read, as far as they could be."""

    reader: MessageReader = field(repr=False, compare=False)
    identity: Identity | None = field(default=None, repr=False, compare=False)

    @property
    def is_late(self) -> bool:
        """As `Delivery.is_late`."""
        return LATE in self.headers

    def read(self) -> ReceivedEvent | None:
        """As `Delivery.read`."""
        return self.reader.read(self.subject, self.headers, self.body, self.identity)

    def to_message(self) -> Message:
        """As `Delivery.to_message`: itself."""
        return self
