"""The body of a request on its way to a service: bounded, and only small bodies are held in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

from litestar.types import HTTPRequestEvent, Receive

from shared.contracts.problem import Problem, invalid

MAX_SMALL = 64 * 1024
"""Bytes up to which a body is read before it is sent: only such a body can be sent a second time."""


class ClientGone(Exception):  # noqa: N818 - a state of the client, not an error of ours
    """The client closed its connection before its body ended."""


def _too_large(limit: int) -> Problem:
    return Problem("PAYLOAD_TOO_LARGE", f"The body is larger than the {limit} bytes that this operation takes")


def ignore() -> None:
    """Does nothing when a body's last byte was sent."""


class RequestBody:
    """The bytes from the client. If they end early, `failure` holds the reason, which aiohttp does not pass on."""

    def __init__(self, headers: list[tuple[bytes, bytes]], receive: Receive, limit: int, idle: float) -> None:
        """`limit` is in bytes, `idle` in seconds between two parts. Raises PAYLOAD_TOO_LARGE."""
        self._receive = receive
        self._limit = limit
        self._idle = idle
        self.length: int | None = 0
        """Bytes as Content-Length states them; None for a chunked body."""
        self.failure: Problem | ClientGone | None = None
        self.moved_at = 0.0
        """When the last part arrived, in the event loop's time: from then on, any silence is the service's."""
        self.waits_for_client = False
        self.on_sent: Callable[[], None] = ignore
        """Called after the last byte of a streamed body."""
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
        return self.length is not None and self.length <= MAX_SMALL

    async def read(self) -> bytes:
        """A small body, complete. Raises ClientGone, PAYLOAD_TOO_LARGE, and VALIDATION_FAILED after `idle` seconds."""
        return b"".join([chunk async for chunk in self._chunks()])

    async def stream(self) -> AsyncIterator[bytes]:
        """The body's parts as they arrive. Raises as `read` does."""
        async for chunk in self._chunks():
            yield chunk
        self.on_sent()

    async def _chunks(self) -> AsyncIterator[bytes]:
        total, more = 0, self.length != 0
        while more:
            self.waits_for_client = True
            try:
                async with asyncio.timeout(self._idle):
                    message = await self._receive()
            except TimeoutError as error:
                self.failure = invalid(f"The body is incomplete: no bytes arrived for {self._idle:g} s")
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


class BytesBody(RequestBody):
    """A body that the edge has made itself. It is in memory, so it can be sent again at any size."""

    def __init__(self, content: bytes) -> None:
        super().__init__([(b"content-length", str(len(content)).encode())], _no_message, len(content), 0.0)

    @property
    def is_small(self) -> bool:
        return True


async def _no_message() -> HTTPRequestEvent:
    raise AssertionError("a body that is in memory is not received")
