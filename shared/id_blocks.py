"""Ids from a PostgreSQL sequence, taken in blocks, so that most need no query."""

import asyncio
from collections.abc import Collection

from shared.eventstore import EventStore

SELECT_NEXT_BLOCK = "select nextval(%s::regclass)"
"""Returns the first id of the next block."""


class IdBlocks:
    """Ids are unique over all replicas and ascending in each. Unused ids of a block are lost when the process ends."""

    def __init__(self, store: EventStore, sequence: str, size: int) -> None:
        """`size`: ids per value of the sequence; the same as its increment, in the service's migrations."""
        self._store, self._sequence, self._size = store, sequence, size
        self._block = iter(range(0))
        self._fetching = asyncio.Lock()

    async def take(self, count: int, apart_from: Collection[int] = ()) -> list[int]:
        """Returns `count` unused ids, none of them in `apart_from`. Raises StoreUnavailable."""
        async with self._fetching:
            ids: list[int] = []
            while len(ids) < count:
                candidate = next(self._block, None)
                if candidate is None:
                    self._block = iter(await self._next_block())
                elif candidate not in apart_from:
                    ids.append(candidate)
            return ids

    async def _next_block(self) -> range:
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_NEXT_BLOCK, (self._sequence,))
            row = await cursor.fetchone()
        assert row is not None, "nextval returns a row"
        return range(row[0], row[0] + self._size)
