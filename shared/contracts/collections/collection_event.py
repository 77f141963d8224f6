"""What all events of a collection are."""

from typing import ClassVar

from shared.contracts.event import Event


class CollectionEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "collection"
