"""Waiting until the read tables of this process show a position.

Whoever waits is woken by the tables' watermarks, which cost the database nothing. A notification may get lost, so once
in `LOOK` seconds one of those who wait, however many they are, looks at the database for all of them.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import LiteralString

import psycopg

from shared.contracts.problem import Problem
from shared.eventstore import EventStore, StoreUnavailable
from shared.eventstore.store import HEAD
from shared.projections.projection import watermark

LOOK = 0.25
"""Seconds between two looks of one process."""
READ_PATIENCE = 4.0
"""Seconds that a read waits for its position."""

# A table that has failed won't come any further by waiting.
STANDS: LiteralString = """
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
    ) -> bool:
        """Waits until the tables (all of them, or those named) show everything up to `position`.

        False when they don't after `timeout` seconds, or as soon as it is known that the only ones behind have failed:
        what was recorded is recorded, only it isn't shown yet.
        """
        wanted = self._tables if tables is None else tuple(tables)
        deadline, has_looked = time.monotonic() + timeout, False
        while missing := self._missing(position, wanted):
            failed = self._known_to_have_failed()
            healthy = [name for name in missing if name not in failed]
            rest = deadline - time.monotonic()
            if not healthy or (rest <= 0 and has_looked):
                return False
            pause = max(0.0, min(rest, LOOK))
            if not await self._store.watermarks.wait_for(watermark(healthy[0]), position, pause):
                await self._look()
                has_looked = True
        return True

    async def wait_shown(
        self,
        position: int,
        timeout: float = READ_PATIENCE,  # noqa: ASYNC109 - as above
        tables: Sequence[str] | None = None,
    ) -> None:
        """For a read that must not be older than `position`, which a write has told its client.

        Raises UNAVAILABLE when the tables don't get there in time, VALIDATION_FAILED for a position beyond history.
        """
        wanted = self._tables if tables is None else tuple(tables)
        if not self._missing(position, wanted):
            return
        if position > self._store.watermarks.value(HEAD) and position > await self._store.head():
            raise Problem("VALIDATION_FAILED", f"position {position} lies beyond everything that was recorded here")
        if not await self.caught_up(position, timeout, wanted):
            raise Problem("UNAVAILABLE", f"what was recorded up to position {position} is not shown yet: ask again")

    def _missing(self, position: int, tables: Sequence[str]) -> list[str]:
        return [name for name in tables if self._store.watermarks.value(watermark(name)) < position]

    def _known_to_have_failed(self) -> frozenset[str]:
        """By a look that is not old: it may have been mended since."""
        return self._failed if time.monotonic() < self._looked_at + 2 * LOOK else frozenset()

    async def _look(self) -> None:
        """One look for everybody who waits; it neither fails a wait nor prolongs it by more than `LOOK`."""
        if time.monotonic() < self._looked_at + LOOK:
            return
        self._looked_at = time.monotonic()
        with contextlib.suppress(TimeoutError, psycopg.Error, StoreUnavailable):
            async with asyncio.timeout(LOOK):
                rows = await self._store.pool.rows(STANDS, (list(self._tables),))
            self._failed = frozenset(name for name, _, has_failed, _ in rows if has_failed)
            for name, position, _, head in rows:
                self._store.watermarks.observe(watermark(name), position)
                self._store.watermarks.observe(HEAD, head)
