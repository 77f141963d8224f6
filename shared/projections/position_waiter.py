"""Waiting until read tables show a position.

Waiters are woken by the tables' watermarks, without queries. A notification may get lost, so every `LOOK_EVERY` seconds
one waiter queries the database for all waiters of this process.
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

LOOK_EVERY = 0.25
"""Seconds between two such queries of one process."""

# Waiting for a table that has failed is useless.
SELECT_POSITIONS: LiteralString = """
select name, position, status = 'failed', (select coalesce(max(position), 0) from events)
from read_tables where name = any(%b)"""


class PositionWaiter:
    """One per process."""

    def __init__(self, store: EventStore, tables: Sequence[str]) -> None:
        self._store, self._tables = store, tuple(tables)
        self._failed = frozenset[str]()
        self._looked_at = float("-inf")

    async def caught_up(
        self,
        position: int,
        timeout: float = 2.0,  # noqa: ASYNC109 - that it isn't shown yet is an answer, no error
        tables: Sequence[str] | None = None,
        *,
        despite_failed: bool = False,
    ) -> bool:
        """Waits until the tables (all of them, or those named) show everything up to `position`.

        False when they don't after `timeout` seconds: the events are recorded, but not shown yet. Tables that are known
        to have failed are not waited for. When only such tables are behind, the answer comes at once: False, or True
        with `despite_failed`, for reads, which one failed table must not stop.
        """
        wanted = self._tables if tables is None else tuple(tables)
        deadline, has_looked = time.monotonic() + timeout, False
        while missing := self._missing(position, wanted):
            failed = self._known_to_have_failed()
            healthy = [name for name in missing if name not in failed]
            rest = deadline - time.monotonic()
            if not healthy:
                return despite_failed
            if rest <= 0 and has_looked:
                return False
            pause = max(0.0, min(rest, LOOK_EVERY))
            self._store.watermarks.advance(WANTED_WATERMARK, position)
            if not await self._store.watermarks.wait_for(watermark(healthy[0]), position, pause):
                await self._look()
                has_looked = True
        return True

    def _missing(self, position: int, tables: Sequence[str]) -> list[str]:
        return [name for name in tables if self._store.watermarks.value(watermark(name)) < position]

    def _known_to_have_failed(self) -> frozenset[str]:
        """According to a recent query; an older one does not count, because a table may have recovered since."""
        return self._failed if time.monotonic() < self._looked_at + 2 * LOOK_EVERY else frozenset()

    async def _look(self) -> None:
        """Queries for all waiters. If the query fails, the waits go on; it takes `LOOK_EVERY` seconds at most."""
        if time.monotonic() < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = time.monotonic()
        with contextlib.suppress(TimeoutError, psycopg.Error, StoreUnavailable):
            async with asyncio.timeout(LOOK_EVERY):
                rows = await self._store.pool.rows(SELECT_POSITIONS, (list(self._tables),))
            self._failed = frozenset(name for name, _, has_failed, _ in rows if has_failed)
            for name, position, _, head in rows:
                self._store.watermarks.observe(watermark(name), position)
                self._store.watermarks.observe(HEAD_WATERMARK, head)
