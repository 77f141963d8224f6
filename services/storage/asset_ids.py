"""Ids for new assets: integers below 2^53, from one PostgreSQL sequence, a block at a time."""

import asyncio

from shared.eventstore import EventStore

BLOCK = 64
"""Ids per value of the sequence; the same as its increment in `migrations/0001_asset_ids.sql`."""


class AssetIds:
    """Ids are unique over all replicas and ascending in each; unused ids of a block are lost at exit."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._left = range(0)
        self._fetching = asyncio.Lock()

    async def take(self) -> int:
        async with self._fetching:
            if not self._left:
                async with self._store.reader() as cursor:
                    await cursor.execute("select nextval('asset_ids')")
                    row = await cursor.fetchone()
                assert row is not None, "nextval always answers one row"
                self._left = range(row[0], row[0] + BLOCK)
            asset_id, self._left = self._left[0], self._left[1:]
            return asset_id
