"""uvicorn's server without its timer, which wakes the process ten times a second to check whether it must stop."""

import asyncio
import contextlib
from types import FrameType

import uvicorn

DATE_EVERY = 1.0
"""Seconds between two updates of the `Date` header."""


class Server(uvicorn.Server):
    """A server that stops at once, by a signal or by `stop`; while idle it wakes once a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Stops accepting connections, and ends when open requests have ended or the grace period is over."""
        self.should_exit = True
        self._stopping.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handles a signal; it may interrupt the loop's thread anywhere."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Replaces uvicorn's loop: waits for an event instead of pausing for 0.1 s."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # tick 0 is that of a full second, which renews the header
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_EVERY):
                    await self._stopping.wait()
