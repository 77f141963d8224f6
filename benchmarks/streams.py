"""Many clients that follow one job: over a connection each, reading its events until the job has ended."""

import asyncio
import re
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

from benchmarks.http_load import request

LAST = re.compile(rb'event: job_status\r?\ndata: [^\n]*"status": ?"(completed|partially_completed|failed|rejected)"')
OPEN_WITHIN = 60.0
AT_A_TIME = 20
BUSY_SECONDS = 0.5
WORD = b"job_status"
MAX_KEPT = 2048
"""Bytes that are kept of a stream: more than its last event has."""


def allow_files(count: int) -> None:
    """Raises this process's limit of open files as far as needed and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


class Busy(Exception):  # noqa: N818 - what the answer says
    """The answer is 503: the request is repeated after a moment, as a client would do."""


class Stream(asyncio.Protocol):
    """`opened` when its first event or comment has come; `ended` with the wall clock's time when the last one has."""

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._request = request
        self._received = b""
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[float] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._received += data
        if not self.opened.done():
            head, separator, body = self._received.partition(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 503"):
                self._fail(Busy(head[:200]))
            elif not head.startswith(b"HTTP/1.1 200"):
                self._fail(RuntimeError(f"a stream was answered with {head[:200]!r}"))
            elif separator and body:
                self.opened.set_result(None)
        # The word first: a search for it costs little, and a thousand streams share the machine with what is measured.
        if WORD in self._received and not self.ended.done() and LAST.search(self._received):
            self.ended.set_result(now)
        self._received = self._received[-MAX_KEPT:]

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("a stream ended before its job"))

    def _fail(self, error: Exception) -> None:
        for future in (self.opened, self.ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # marks it as retrieved, since no one may wait for it


@asynccontextmanager
async def following(url: str, token: str, job: str, count: int) -> AsyncIterator[list[Stream]]:
    """`count` open streams for the length of an `async with` block."""
    address, loop = urlsplit(url), asyncio.get_running_loop()
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    request_bytes = request("GET", url, f"/jobs/{job}/events", None, headers)
    turn = asyncio.Semaphore(AT_A_TIME)
    streams: list[Stream] = []

    async def open_one() -> None:
        async with turn:
            while True:
                _, stream = await loop.create_connection(lambda: Stream(request_bytes), address.hostname, address.port)
                try:
                    await stream.opened
                except Busy:
                    await asyncio.sleep(BUSY_SECONDS)
                else:
                    streams.append(stream)
                    return

    try:
        async with asyncio.timeout(OPEN_WITHIN), asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(open_one())
        yield streams
    finally:
        for stream in streams:
            stream.transport.abort()
