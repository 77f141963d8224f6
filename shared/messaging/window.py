"""How much may be in hand at once: events that are being handled, or wait for their turn, in number and in bytes."""

import asyncio
import contextlib
from collections.abc import Callable

STALLED = 16
"""So many times the window's size may be held, when most of it only waits for its next try."""
MOMENT = 0.02
"""Seconds."""


class Window:
    """Counts what is held. `stalled` gives how many of them wait for a next try, their own or that of one before them.

    Those take no place from others while there are not too many: else a few hundred events that fail would stop all.
    What is taken in is bounded by bytes in any case.
    """

    def __init__(self, most: int, most_bytes: int, stalled: Callable[[], int] = lambda: 0) -> None:
        self.most, self.most_bytes, self._stalled = most, most_bytes, stalled
        self.held = self.bytes = 0
        self._changed = asyncio.Event()

    def take(self, size: int) -> None:
        self.held += 1
        self.bytes += size

    def give_back(self, size: int) -> None:
        self.held -= 1
        self.bytes -= size
        self._changed.set()

    def changed(self) -> None:
        """How many are stalled is another number now."""
        self._changed.set()

    @property
    def room(self) -> int:
        """How many more may be taken."""
        if self.bytes >= self.most_bytes or self.held >= self.most * STALLED:
            return 0
        return max(0, self.most - self.held + self._stalled())

    @property
    def room_bytes(self) -> int:
        return max(0, self.most_bytes - self.bytes)

    async def wait_for_room(self, enough: int = 1) -> None:
        """Until there is room; and a moment longer for `enough` of it, since asking for one at a time costs."""
        while self.room < 1:
            await self.wait_for_change()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MOMENT):
                while self.room < min(enough, self.most):
                    await self.wait_for_change()

    async def wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
