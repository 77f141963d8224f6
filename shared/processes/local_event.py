"""An event of the service's own store, as a process handles it."""

from collections.abc import Callable
from uuid import UUID

from shared.backoff import Backoff
from shared.eventstore import Codec, EventStore, RecordedEvent, StoreUnavailable, UndecodedEvent
from shared.eventstore.codec import UNREADABLE
from shared.handling.delivery import Malformed, Message, decoding
from shared.handling.parking import Parked
from shared.messaging.cloudevents import event_headers, event_subject


class LocalEvent:
    """A delivery (`shared.handling.delivery`); `decode` decodes the event, once for all followers of this process.

    Only an event that is parked takes the form of a message, so that operators see all parked events alike.
    """

    __slots__ = ("_decode", "_epoch", "_owner", "event")

    is_late = False

    def __init__(self, owner: str, event: UndecodedEvent, epoch: int, decode: Callable[[], RecordedEvent]) -> None:
        self.event = event
        self._owner, self._epoch, self._decode = owner, epoch, decode

    @property
    def message_id(self) -> str:
        """The event's id."""
        return str(self.event.event_id)

    @property
    def stream_id(self) -> UUID:
        """The stream of the event."""
        return self.event.stream_id

    @property
    def position(self) -> int:
        """Its position in this service's store."""
        return self.event.position

    @property
    def type(self) -> str:
        """The stored tag of the event."""
        return self.event.stored_type

    def read(self) -> RecordedEvent:
        """The event, in the newest version of its type. Raises Malformed."""
        with decoding(self.type):
            return self._decode()

    def to_message(self) -> Message:
        """The message that the relay publishes for it."""
        event = self.event
        return Message(
            self.message_id,
            event_subject(self._owner, event),
            event_headers(self._owner, event, self._epoch),
            event.data,
            event.stream_id,
            event.position,
            self._epoch,
        )


def decode(codec: Codec, event: UndecodedEvent) -> RecordedEvent:
    """The event, in the newest version of its type. Raises one of UNREADABLE."""
    return RecordedEvent(
        event.position,
        event.event_id,
        event.stream_id,
        event.version,
        event.stored_type,
        codec.decode(event.stored_type, event.data),
        event.data,
        event.metadata,
        event.recorded_at,
    )


async def read_parked(store: EventStore, tags: frozenset[str], parked: Parked) -> RecordedEvent | None:
    """The event of a parked row, from the store; None if its stored type is not in `tags`. Raises Malformed."""
    if store.codec.knows(parked.type or "") and parked.type not in tags:
        return None
    position = parked.position or 0
    backoff = Backoff(f"parked event {parked.id}", on=(StoreUnavailable,))
    try:
        batch = await backoff.call(lambda: store.read_undecoded(position - 1, 1, keep_unknown=True))
    except UNREADABLE as error:
        raise Malformed(f"the stored event at position {position} can't be read: {error}") from error
    if not batch.events or str(batch.events[0].event_id) != parked.message_id:
        raise Malformed(f"the store holds no event {parked.message_id} at position {position} any more: discard it")
    with decoding(batch.events[0].stored_type):
        return decode(store.codec, batch.events[0])
