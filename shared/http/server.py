"""uvicorn's server without its clock, which wakes ten times a second to see whether it is to stop."""

import asyncio
import contextlib
from types import FrameType

import uvicorn

DATE_EVERY = 1.0
"""Seconds between two updates of the `Date` header."""


class Server(uvicorn.Server):
    """Stops at once when it is told to, by a signal or by `stop`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._is_to_stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        self.should_exit = True
        self._is_to_stop.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal's handler, which may run at any place of the loop's thread."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_to_stop.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # that of a full second: it makes the header anew
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_EVERY):
                    await self._is_to_stop.wait()
