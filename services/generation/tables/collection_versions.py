"""The newest version of each collection, by the events of it that were consumed.

Generation's copy of a collection only has the version of the last event that changed the copy. So it can't tell whether
a later version changes something else, or has not arrived yet. The versions of events that change something else are in
a table, which the consumer of collections' events writes. A creation needs no row there, and no second commit: its two
events are recorded together, and the copy that is made of the first one stands for both.
"""

from typing import LiteralString
from uuid import UUID

from services.generation.deciders import SOURCE
from services.generation.domain.collection_source import SourcePosition
from shared.contracts.collections import EVENTS_OF_CREATION
from shared.eventstore import EventStore

UPSERT_VERSION: LiteralString = """
insert into collection_versions as v (collection_id, version, epoch, recorded_at) values (%s, %s, %s, %s)
on conflict (collection_id) do update
set version = excluded.version, epoch = excluded.epoch, recorded_at = excluded.recorded_at
where (excluded.epoch, excluded.version) > (v.epoch, v.version) or excluded.recorded_at > v.recorded_at"""
SELECT_VERSION: LiteralString = """
select version, epoch, recorded_at from collection_versions where collection_id = %s"""


class CollectionVersions:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def note(self, collection_id: UUID, position: SourcePosition) -> None:
        """For an event that does not change the copy. Idempotent: one that is delivered again changes nothing."""
        async with self._store.pool.connection() as connection:
            await connection.execute(
                UPSERT_VERSION, (collection_id, position.version, position.epoch, position.recorded_at)
            )

    async def newest(self, collection_id: UUID) -> int:
        """The copy has what changes it up to this version. 0 if no event of the collection was consumed."""
        rows = await self._store.pool.rows(SELECT_VERSION, (collection_id,))
        copied = (await self._store.load(SOURCE, collection_id)).state.source
        noted = SourcePosition(*rows[0]) if rows else SourcePosition(0)
        newest = copied.version if copied.covers(noted) else noted.version
        return max(newest, len(EVENTS_OF_CREATION)) if copied.version else newest
