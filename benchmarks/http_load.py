"""Sends requests over many connections, as fast as they are answered, with little CPU beside the server.

HTTP/1.1 with keep-alive, one request at a time on each connection. Of an answer, only its status and its end are read.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, cast
from urllib.parse import urlsplit

import msgspec

from benchmarks.measure import percentile

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
LAST_CHUNK = b"0\r\n\r\n"
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
PATIENCE = 30.0
"""Seconds without an answer, at the end, after which a connection is given up."""


@dataclass
class Loaded:
    """The results: latencies in seconds of the expected answers, and counts of all statuses."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    """Connections that ended before their answer."""
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def p50(self) -> float:
        """In milliseconds."""
        return percentile(self.latencies, 0.5) * 1e3

    def __iadd__(self, other: "Loaded") -> Self:
        self.latencies += other.latencies
        self.statuses += other.statuses
        self.broken += other.broken
        self.seconds += other.seconds
        return self


def request(method: str, url: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def answer_end(received: bytes) -> int | None:
    """The end of the first answer in `received`; None while a part of it is missing."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    start = head + 4
    length = LENGTH.search(received, 0, head)
    if length is not None:
        end = start + int(length[1])
    elif CHUNKED.search(received, 0, head):
        # What is asked for here is JSON without line breaks, so nothing in a chunk looks like the last one.
        last = received.find(LAST_CHUNK, start)
        end = last + len(LAST_CHUNK) if last >= 0 else len(received) + 1
    else:
        end = start
    return end if end <= len(received) else None


class _Connection(asyncio.Protocol):
    """Sends its request again and again until the time is over."""

    def __init__(self, request: bytes, expected: int, until: float, loaded: Loaded) -> None:
        self._request, self._expected, self._until, self._loaded = request, expected, until, loaded
        self._received = b""
        self._sent = 0.0
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """True: the server has closed the connection, and there is time left."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = answer_end(self._received)
        if end is None:
            return
        now = time.perf_counter()
        status = int(self._received[9:12])
        self._loaded.statuses[status] += 1
        if status == self._expected:
            self._loaded.latencies.append(now - self._sent)
        closes = CLOSE.search(self._received, 0, self._received.find(b"\r\n\r\n"))
        self._received = self._received[end:]
        if now < self._until and not closes:
            self._send()
        else:
            self._end(again=now < self._until)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ended.done():
            self._loaded.broken += 1
            self._end(again=time.perf_counter() < self._until)

    def _end(self, *, again: bool) -> None:
        if not self.ended.done():
            self.ended.set_result(again)
        self._transport.close()


async def load(url: str, requests: Sequence[bytes], expected: int, seconds: float) -> Loaded:
    """Repeats each request on its own connection for `seconds`. Raises RuntimeError if more than 1 % fail."""
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    loaded = Loaded()
    began = time.perf_counter()

    async def keep(request_bytes: bytes) -> None:
        again = True
        while again:
            _, connection = await loop.create_connection(
                lambda: _Connection(request_bytes, expected, began + seconds, loaded), address.hostname, address.port
            )
            again = await asyncio.wait_for(connection.ended, seconds + PATIENCE)

    await asyncio.gather(*map(keep, requests))
    loaded.seconds = time.perf_counter() - began
    failed = loaded.statuses.total() - loaded.statuses[expected] + loaded.broken
    if failed > loaded.statuses.total() / 100:
        raise RuntimeError(f"{url}: answered {dict(loaded.statuses)} instead of {expected}; {loaded.broken} broke off")
    return loaded
