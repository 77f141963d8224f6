"""Waiting until read tables include a position.

Waiters are woken by the tables' watermarks, without queries. A notification may get lost, so every `QUERY_EVERY`
seconds one waiter queries the database for all waiters of this process.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import LiteralString

import psycopg

from shared.eventstore import EventStore, StoreUnavailable
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.projections.projection import WANTED_WATERMARK, watermark

QUERY_EVERY = 0.25
"""Seconds between two such queries of one process."""

# Also returns whether the table has failed: waiting for it is useless then.
# %b: sent in binary, which PostgreSQL need not parse; this runs several times a second.
SELECT_POSITIONS: LiteralString = """
select name, position, status = 'failed', (select coalesce(max(position), 0) from events)
from read_tables where name = any(%b)"""


class PositionWaiter:
    """Waits for the read tables of one process."""

    def __init__(self, store: EventStore, tables: Sequence[str]) -> None:
        self._store, self._tables = store, tuple(tables)
        self._failed = frozenset[str]()
        self._queried_at = float("-inf")

    async def caught_up(
        self,
        position: int,
        timeout: float = 2.0,  # noqa: ASYNC109 - a timeout is a result, not an error
        tables: Sequence[str] | None = None,
        *,
        despite_failed: bool = False,
    ) -> bool:
        """Waits until the tables (by default all) include all events up to `position`.

        Returns False when they don't after `timeout` seconds: the events are recorded, but not in the tables yet. It
        does not wait for tables that have failed. When only such tables are behind, it returns at once: False, or True
        with `despite_failed`, for reads, which one failed table must not block.
        """
        names = self._tables if tables is None else tuple(tables)
        deadline, has_queried = time.monotonic() + timeout, False
        while missing := self._missing(position, names):
            failed = self._failed_tables()
            healthy = [name for name in missing if name not in failed]
            rest = deadline - time.monotonic()
            if not healthy:
                return despite_failed
            if rest <= 0 and has_queried:
                return False
            pause = max(0.0, min(rest, QUERY_EVERY))
            self._store.watermarks.advance(WANTED_WATERMARK, position)
            if not await self._store.watermarks.wait_for(watermark(healthy[0]), position, pause):
                await self._query()
                has_queried = True
        return True

    def _missing(self, position: int, tables: Sequence[str]) -> list[str]:
        return [name for name in tables if self._store.watermarks.value(watermark(name)) < position]

    def _failed_tables(self) -> frozenset[str]:
        """According to a recent query; an older result is ignored, because a table may have recovered since."""
        return self._failed if time.monotonic() < self._queried_at + 2 * QUERY_EVERY else frozenset()

    async def _query(self) -> None:
        """Queries the positions for all waiters, in `QUERY_EVERY` seconds at most. If it fails, they wait on."""
        if time.monotonic() < self._queried_at + QUERY_EVERY:
            return
        self._queried_at = time.monotonic()
        with contextlib.suppress(TimeoutError, psycopg.Error, StoreUnavailable):
            async with asyncio.timeout(QUERY_EVERY):
                rows = await self._store.pool.rows(SELECT_POSITIONS, (list(self._tables),))
            self._failed = frozenset(name for name, _, has_failed, _ in rows if has_failed)
            for name, position, _, head in rows:
                self._store.watermarks.observe(watermark(name), position)
                self._store.watermarks.observe(HEAD_WATERMARK, head)
