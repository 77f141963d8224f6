"""The newest version of each collection whose event was consumed here.

Generation's copy of a collection only has the version of the last event that changed the copy. So it can't tell whether
a later version changes something else, or has not arrived yet; this table can. It is written by the consumer of
collections' events, after the copy.
"""

from datetime import datetime
from typing import LiteralString
from uuid import UUID

from shared.eventstore import EventStore

UPSERT_VERSION: LiteralString = """
insert into collection_versions as v (collection_id, version, epoch, recorded_at) values (%s, %s, %s, %s)
on conflict (collection_id) do update
set version = excluded.version, epoch = excluded.epoch, recorded_at = excluded.recorded_at
where (excluded.epoch, excluded.version) > (v.epoch, v.version) or excluded.recorded_at > v.recorded_at"""
SELECT_VERSION: LiteralString = "select version from collection_versions where collection_id = %s"


class CollectionVersions:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def note(self, collection_id: UUID, version: int, epoch: int, recorded_at: datetime) -> None:
        """Idempotent: an event that is delivered again changes nothing."""
        async with self._store.pool.connection() as connection:
            await connection.execute(UPSERT_VERSION, (collection_id, version, epoch, recorded_at))

    async def newest(self, collection_id: UUID) -> int:
        """0 if no event of the collection was consumed."""
        rows = await self._store.pool.rows(SELECT_VERSION, (collection_id,))
        return int(rows[0][0]) if rows else 0
