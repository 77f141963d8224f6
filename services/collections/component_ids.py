"""Ids of new components."""

from shared.eventstore import EventStore
from shared.id_blocks import IdBlocks

BLOCK = 1000
"""Ids per value of the sequence; the same as its increment in migrations/0001_component_ids.sql."""


class ComponentIds(IdBlocks):
    """Take them apart from the step ids that a client has chosen: these may equal new ids, and must differ."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store, "component_ids", BLOCK)
