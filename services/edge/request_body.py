"""The body of a request on its way through: bounded, never whole in memory unless it is small."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

from litestar.types import HTTPRequestEvent, Receive

from shared.contracts.problem import Problem, invalid

BUFFERED = 64 * 1024
"""Bodies up to this many bytes are read first: only what is still here can be sent a second time."""


class ClientGone(Exception):  # noqa: N818 - a state of the client, not an error of ours
    """The client closed its connection before its request was over."""


def _too_large(limit: int) -> Problem:
    return Problem("PAYLOAD_TOO_LARGE", f"The body is larger than the {limit} bytes that this operation takes")


class RequestBody:
    """What the client sends. `failure` says why it broke off, where the sending side only sees that it did.

    `limit` is in bytes; `idle` is how many seconds the client may be silent in the middle.
    """

    def __init__(self, headers: list[tuple[bytes, bytes]], receive: Receive, limit: int, idle: float) -> None:
        self._receive = receive
        self._limit = limit
        self._idle = idle
        self.length: int | None = 0
        self.failure: Problem | ClientGone | None = None
        self.taken = False
        """Whether any of a streamed body has been taken, so that it can't be sent to another replica."""
        self.moved_at = 0.0
        """When the last of the body came, by the event loop's clock: from then on, silence is the service's."""
        self.waits_for_client = False
        for name, value in headers:
            if name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                self.length = None
                break
        if self.length is not None and self.length > limit:
            raise _too_large(limit)

    @property
    def is_small(self) -> bool:
        return self.length is not None and self.length <= BUFFERED

    async def read(self) -> bytes:
        """The whole of a small body. Raises ClientGone, and Problem when the rest of it doesn't come."""
        return b"".join([chunk async for chunk in self._chunks()])

    async def stream(self, finished: Callable[[], None]) -> AsyncIterator[bytes]:
        """The body as it comes; `finished` is called after its end."""
        self.taken = True
        async for chunk in self._chunks():
            yield chunk
        finished()

    async def _chunks(self) -> AsyncIterator[bytes]:
        total, more = 0, self.length != 0
        while more:
            self.waits_for_client = True
            try:
                async with asyncio.timeout(self._idle):
                    message = await self._receive()
            except TimeoutError as error:
                self.failure = invalid(f"The body stopped in its middle: nothing came for {self._idle:g} s")
                raise self.failure from error
            finally:
                self.waits_for_client = False
                self.moved_at = asyncio.get_running_loop().time()
            if message["type"] == "http.disconnect":
                self.failure = ClientGone()
                raise self.failure
            received = cast("HTTPRequestEvent", message)
            chunk, more = received.get("body", b""), received.get("more_body", False)
            total += len(chunk)
            if total > self._limit:
                self.failure = _too_large(self._limit)
                raise self.failure
            if chunk:
                yield chunk
