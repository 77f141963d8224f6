"""Waiting until the read tables of this process show a position.

Whoever waits is woken by the tables' watermarks, which cost the database nothing. A notification may get lost, so once
in `LOOK_EVERY` seconds one of those who wait, however many they are, looks at the database for all of them.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import LiteralString

import psycopg

from shared.eventstore import EventStore, StoreUnavailable
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.projections.projection import watermark

LOOK_EVERY = 0.25
"""Seconds between two looks of one process."""

# A table that has failed won't come any further by waiting.
SELECT_POSITIONS: LiteralString = """
select name, position, status = 'failed', (select coalesce(max(position), 0) from events)
from read_tables where name = any(%b)"""


class Shown:
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

        False when they don't after `timeout` seconds: what was recorded is recorded, only it isn't shown yet. No table
        that is known to have failed is waited for. When such are the only ones behind, a writer is told False at once;
        a reader, `despite_failed`, goes on with what there is, for one table's trouble must not stop the others' reads.
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
            if not await self._store.watermarks.wait_for(watermark(healthy[0]), position, pause):
                await self._look()
                has_looked = True
        return True

    def _missing(self, position: int, tables: Sequence[str]) -> list[str]:
        return [name for name in tables if self._store.watermarks.value(watermark(name)) < position]

    def _known_to_have_failed(self) -> frozenset[str]:
        """By a look that is not old: it may have been mended since."""
        return self._failed if time.monotonic() < self._looked_at + 2 * LOOK_EVERY else frozenset()

    async def _look(self) -> None:
        """One look for everybody who waits; it neither fails a wait nor prolongs it by more than `LOOK_EVERY`."""
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
