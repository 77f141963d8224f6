"""Bytes from the event loop into a thread that reads them like a file, with a bound on what is under way."""

import asyncio
from collections import deque
from queue import SimpleQueue

BLOCK = 256 * 1024
"""Bytes that are handed over at once: a request's small chunks are gathered, so that threads switch less often."""
BLOCKS = 16
"""Blocks under way at most: 4 MiB."""


class GivenUp(Exception):  # noqa: N818 - what happened to the file
    """The other side of a pipe will not go on."""


class Pipe:
    """`write` and `finish`, or `fail`, on the event loop; `read` in one thread.

    The reader sees the end of the file only after `finish`. So whoever writes decides, after the last byte, whether
    the file becomes real: `fail` makes the pending `read` raise instead.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handed: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._room = asyncio.Semaphore(BLOCKS)
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._broken = False
        self._rest: deque[bytes] = deque()
        self._at_end = False

    # On the event loop

    async def write(self, data: bytes) -> None:
        """Waits for room. Raises GivenUp when the reader has stopped."""
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes < BLOCK:
            return
        if not self._broken:
            await self._room.acquire()
        if self._broken:
            raise GivenUp
        self._hand_over()

    def finish(self) -> None:
        """The file is complete, and may be kept."""
        if self._gathered_bytes:
            self._hand_over()
        self._handed.put(b"")

    def fail(self) -> None:
        """The file is not to be kept: what the reader does with it must fail."""
        self._handed.put(GivenUp())

    def break_off(self) -> None:
        """The reader has stopped: a writer that waits for room, or comes later, is told."""
        self._broken = True
        self._room.release()

    def _hand_over(self) -> None:
        self._handed.put(b"".join(self._gathered))
        self._gathered, self._gathered_bytes = [], 0

    # In the reading thread

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end of the file. Raises GivenUp when the file failed."""
        parts: list[bytes] = []
        missing = size
        while missing and (block := self._next()):
            if len(block) > missing:
                self._rest.appendleft(block[missing:])
                block = block[:missing]
            parts.append(block)
            missing -= len(block)
        return b"".join(parts)

    def _next(self) -> bytes:
        if self._rest:
            return self._rest.popleft()
        if self._at_end:
            return b""
        block = self._handed.get()
        if isinstance(block, BaseException):
            raise block
        self._at_end = not block
        self._loop.call_soon_threadsafe(self._room.release)
        return block
