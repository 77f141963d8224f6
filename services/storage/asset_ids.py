"""Ids for new assets: integers below 2^53, from one PostgreSQL sequence, a block at a time."""

import asyncio

from shared.eventstore import EventStore

BLOCK = 64
"""The sequence's increment, in `migrations/0001_asset_ids.sql`."""


class AssetIds:
    """Ids are unique over all replicas and grow in each; those of a block that was not used up are lost."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._left = range(0)
        self._turn = asyncio.Lock()

    async def take(self) -> int:
        async with self._turn:
            if not self._left:
                async with self._store.reader() as cursor:
                    await cursor.execute("select nextval('asset_ids')")
                    row = await cursor.fetchone()
                assert row is not None, "nextval always answers one row"
                self._left = range(row[0], row[0] + BLOCK)
            taken, self._left = self._left[0], self._left[1:]
            return taken
