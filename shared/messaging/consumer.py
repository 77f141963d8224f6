"""A consumer: which events of another service this service handles, and how."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.contracts.consumers import ConsumerDeclaration
from shared.contracts.event import Event
from shared.contracts.language import Language, language_of
from shared.eventstore import Codec
from shared.messaging.cloudevents import ReceivedEvent


@dataclass(frozen=True)
class Consumer:
    """`handle` is called for each of `events` of the service `owner`, at least once.

    So it must be idempotent: it derives its command id from the event (`context.caused(event_id, name)`).

    `name` identifies the consumer's checkpoint and never changes. Put a version in it (`credits-jobs-v1`), and raise
    that to begin again from the first event, or when `events` grows: a consumer does not return to events that it has
    skipped. `events` are newest versions; events that were published in older ones are upcast by the owner's `language`
    (by default its contracts).
    """

    name: str
    owner: str
    events: tuple[type[Event], ...]
    handle: Callable[[ReceivedEvent], Awaitable[None]]
    language: Language | None = None

    @classmethod
    def of(cls, declaration: ConsumerDeclaration, handle: Callable[[ReceivedEvent], Awaitable[None]]) -> "Consumer":
        """The consumer that a service declares in `shared.contracts.consumers`."""
        return cls(declaration.name, declaration.owner, declaration.events, handle)

    def codec(self) -> Codec:
        """For all events that the owner publishes; for an owner without contracts, those that are consumed."""
        language = self.language or language_of(self.owner)
        return Codec(dict.fromkeys((*language.events, *self.events)), upcasters=language.upcasters)
