"""A window bounds the unsettled events, handled and waiting ones, in number and in bytes."""

import asyncio
import contextlib
from collections.abc import Callable

MAX_STALLED = 16
"""How many times its size the window may hold while most of its events wait for a retry."""
COLLECT_SECONDS = 0.02
"""Seconds to wait for more room, once there is some."""


class Window:
    """Counts the unsettled events. `stalled` returns how many wait for a retry, their own or that of one before.

    Up to a bound, stalled events take no room from others: a few hundred failing events must not stop all of them. The
    bound in bytes counts them, too.
    """

    def __init__(self, most: int, most_bytes: int, stalled: Callable[[], int] = lambda: 0) -> None:
        self.most, self.most_bytes, self._stalled = most, most_bytes, stalled
        self.held = self.bytes = 0
        self.changes = 0
        """How often something was given back, or the number of stalled events has changed."""
        self._changed = asyncio.Event()

    def take(self, size: int) -> None:
        """Counts an event of `size` bytes."""
        self.held += 1
        self.bytes += size

    def give_back(self, size: int) -> None:
        """Counts it no longer."""
        self.held -= 1
        self.bytes -= size
        self.changed()

    def changed(self) -> None:
        """To be called when the number of stalled events has changed."""
        self.changes += 1
        self._changed.set()

    @property
    def room(self) -> int:
        """How many more may be taken."""
        if self.bytes >= self.most_bytes or self.held >= self.most * MAX_STALLED:
            return 0
        return max(0, self.most - self.held + self._stalled())

    @property
    def room_bytes(self) -> int:
        """How many more bytes may be taken."""
        return max(0, self.most_bytes - self.bytes)

    async def wait_for_room(self, enough: int = 1) -> None:
        """Waits for room, and then up to COLLECT_SECONDS for `enough` of it, to save requests."""
        while self.room < 1:
            await self.wait_for_change(self.changes)
        if self.room >= min(enough, self.most):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COLLECT_SECONDS):
                while self.room < min(enough, self.most):
                    await self.wait_for_change(self.changes)

    async def wait_for_change(self, after: int) -> None:
        """Waits for more than `after` changes: `changes` at the moment of which the caller has seen the window."""
        while self.changes <= after:
            self._changed.clear()
            await self._changed.wait()
