"""Ids of new components, from a sequence of PostgreSQL."""

from shared.eventstore import EventStore
from shared.id_blocks import IdBlocks

BLOCK = 1000
"""Ids per value of the sequence; the same as its increment in migrations/0001_component_ids.sql."""


class ComponentIds(IdBlocks):
    """`take(…, apart_from=…)` skips ids that equal a client's step id, since a component's id must differ from it."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store, "component_ids", BLOCK)
