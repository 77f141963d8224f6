"""New component ids, taken from a PostgreSQL sequence in blocks, so that most creations need no query."""

import asyncio
from collections.abc import Collection

from shared.eventstore import EventStore

BLOCK = 1000
"""Ids per value of the sequence; the same as its increment in migrations/0001_component_ids.sql."""
NEXT_BLOCK = "select nextval('component_ids')"


class ComponentIds:
    """Each id is taken once, over all replicas. Unused ids of a block are lost when the process ends."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._left: list[int] = []
        self._fetching = asyncio.Lock()

    async def take(self, count: int, apart_from: Collection[int] = ()) -> list[int]:
        """`count` ids that no component has, none of them in `apart_from`. Raises StoreUnavailable."""
        async with self._fetching:
            ids: list[int] = []
            while len(ids) < count:
                if not self._left:
                    self._left = await self._next_block()
                candidate = self._left.pop()
                # A client may have chosen a step id that equals this new id: they must differ.
                if candidate not in apart_from:
                    ids.append(candidate)
            return ids

    async def _next_block(self) -> list[int]:
        async with self._store.reader() as cursor:
            await cursor.execute(NEXT_BLOCK)
            row = await cursor.fetchone()
        assert row is not None, "nextval answers one row"
        start = int(row[0])
        return list(range(start + BLOCK - 1, start - 1, -1))
