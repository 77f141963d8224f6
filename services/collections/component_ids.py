"""Where new component ids come from: blocks of a PostgreSQL sequence, so most creations ask no database for them."""

import asyncio
from collections.abc import Collection

from shared.eventstore import EventStore

BLOCK = 1000
"""Ids per value of the sequence; the same as its increment in migrations/0001_component_ids.sql."""
NEXT_BLOCK = "select nextval('component_ids')"


class ComponentIds:
    """Hands out each id once. A process that ends leaves the rest of its block unused."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._left: list[int] = []
        self._fetching = asyncio.Lock()

    async def take(self, count: int, apart_from: Collection[int] = ()) -> list[int]:
        """`count` ids that no component has, none of them in `apart_from`. Raises StoreUnavailable."""
        async with self._fetching:
            taken: list[int] = []
            while len(taken) < count:
                if not self._left:
                    self._left = await self._next_block()
                candidate = self._left.pop()
                # Somebody may have made up a step id that will be a component's: it must not mean two things at once.
                if candidate not in apart_from:
                    taken.append(candidate)
            return taken

    async def _next_block(self) -> list[int]:
        async with self._store.reader() as cursor:
            await cursor.execute(NEXT_BLOCK)
            row = await cursor.fetchone()
        assert row is not None, "nextval answers one row"
        start = int(row[0])
        return list(range(start + BLOCK - 1, start - 1, -1))
