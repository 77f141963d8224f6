"""How far somebody in this process waits for the read tables to come: who moves them need not hurry otherwise."""

import asyncio
import contextlib


class Demand:
    def __init__(self) -> None:
        self.position = 0
        self._news = asyncio.Event()

    def ask(self, position: int) -> None:
        """Somebody waits until the tables show this position."""
        if position > self.position:
            self.position = position
            self._news.set()

    async def beyond(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - nobody asking is no error
        """Returns when somebody waits for more than a position, or after `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.position <= position:
                    self._news.clear()
                    await self._news.wait()
