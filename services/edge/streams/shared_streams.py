"""Streams of job events that several clients share: one connection to the service, whose events go to all of them.

Clients share a stream if they follow the same job as the same user with the same roles: each was authenticated here as
the service does it, and the service has allowed that user to follow the job. The first client's request opens the
stream.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

import aiohttp
from litestar.types import HTTPScope

from services.edge.headers import STREAM_AFTER, Headers, response_headers
from shared.contracts.sizes import KIB
from shared.http.channel import Channel, Frame
from shared.http.positions import HEADER as POSITION
from shared.http.strict_urls import read_whole_number
from shared.stopping import stop
from shared.telemetry import get_logger

log = get_logger("following")

MEDIA_TYPE = "text/event-stream"
MAX_EVENT = 2 * 1024 * KIB
"""Bytes of one event: twice the size of the largest that is recorded."""
GAP = b"event: gap\n"
"""The first line of the event that the service sends to a client whose last id is not in its history."""


class StreamKey(NamedTuple):
    """What clients must have in common to share a stream."""

    user: UUID
    roles: frozenset[str]
    path: str


class ResponseHead(NamedTuple):
    """Status and headers of the service's response, which all followers get."""

    status: int
    headers: Headers

    @classmethod
    def of(cls, response: aiohttp.ClientResponse) -> "ResponseHead":
        return cls(response.status, response_headers(response.raw_headers)[0])


class StreamBroken(Exception):  # noqa: N818 - a state of the stream
    """The stream can't be continued; the client reconnects with the id of the last event that it has."""


def requested_start(scope: HTTPScope) -> int | None:
    """The id after which a request wants the stream to start, 0 for its beginning.

    None for a request that can't share a stream, since only the service can judge it.
    """
    after = 0
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value:
            position = read_whole_number(value.decode("latin-1"))
            if position is None:
                return None
            after = position
        elif name == POSITION.lower().encode():
            return None
    return None if scope["query_string"] else after


def actual_start(response: aiohttp.ClientResponse) -> int | None:
    """The id after which the service's stream starts; None for a response that is no stream to share."""
    if response.status != 200 or response.content_type != MEDIA_TYPE:
        return None
    return read_whole_number(response.headers.get(STREAM_AFTER, ""))


async def read_frames(response: aiohttp.ClientResponse) -> AsyncIterator[Frame]:
    """The service's events, comments and `retry:` fields with their bytes unchanged.

    Without the event `gap`, which concerns one client: each client's follower sends it. Raises StreamBroken, and what
    aiohttp raises for a connection that breaks.
    """
    rest = b""
    async for chunk in response.content.iter_any():
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            if not block.startswith(GAP):
                yield Frame(_event_id(block), block + b"\n\n")
        if len(rest) > MAX_EVENT:
            raise StreamBroken("an event is too large")
    if rest:
        raise StreamBroken("the stream ends in the middle of an event")


def _event_id(block: bytes) -> int | None:
    line, _, _ = block.partition(b"\n")
    return int(line[4:]) if line.startswith(b"id: ") else None


class SharedStream:
    """One stream of the service, and the channel that passes its frames on to followers."""

    def __init__(self, response: aiohttp.ClientResponse, after: int) -> None:
        self.head = ResponseHead.of(response)
        self.channel = Channel[Frame](after)
        self.after = after
        """The id after which it starts."""
        self.retry_field = b""
        """Its `retry:` field, which each follower gets first."""
        self._response = response

    async def read(self) -> None:
        """Adds frames to the channel until the stream ends, no faster than the fastest follower takes them."""
        try:
            async for frame in read_frames(self._response):
                if frame.encoded.startswith(b"retry:"):
                    self.retry_field = frame.encoded
                await self.channel.wait_for_room(frame)
                key = None if frame.encoded.startswith(b":") else self.channel.added
                self.channel.add(frame, key)
        except (aiohttp.ClientError, OSError, StreamBroken) as error:
            log.warning("stream broken off", error=repr(error), followers=self.channel.subscribers)
            self.channel.close(error)
        else:
            self.channel.close()
        finally:
            self._response.close()


class SharedStreams:
    """The open streams by key."""

    def __init__(self) -> None:
        self._open: dict[StreamKey, tuple[SharedStream, asyncio.Task[None]]] = {}
        self._opening: dict[StreamKey, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def current(self, key: StreamKey) -> SharedStream | None:
        """The open stream, None if there is none or if it has ended."""
        stream, _ = self._open.get(key, (None, None))
        return stream if stream is not None and not stream.channel.is_closed else None

    async def wait_for(self, key: StreamKey) -> SharedStream | None:
        """The open stream. If another client is opening it, waits for the result; None if that fails."""
        if self.current(key) is None and (opening := self._opening.get(key)) is not None:
            await asyncio.shield(opening)
        return self.current(key)

    @contextmanager
    def opening(self, key: StreamKey) -> Iterator[None]:
        """Makes `wait_for` wait until the block ends, unless a stream is open already."""
        if self.current(key) is not None:
            yield
            return
        opening = self._opening.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            yield
        finally:
            if self._opening.get(key) is opening:
                del self._opening[key]
            if not opening.done():
                opening.set_result(None)

    def share(self, key: StreamKey, response: aiohttp.ClientResponse) -> SharedStream | None:
        """Opens the key's stream on this response; None if it is no stream to share, or if one is open already."""
        after = actual_start(response)
        if after is None or self.current(key) is not None:
            return None
        stream = SharedStream(response, after)
        reader = asyncio.create_task(stream.read())
        self._open[key] = stream, reader
        reader.add_done_callback(lambda _: self._forget(key, stream))
        return stream

    async def close_unused(self, key: StreamKey, stream: SharedStream) -> None:
        """Closes the stream if it has no followers left."""
        current, reader = self._open.get(key, (None, None))
        if not stream.channel.subscribers and current is stream and reader is not None:
            self._forget(key, stream)
            await stop(reader)

    def _forget(self, key: StreamKey, stream: SharedStream) -> None:
        current, _ = self._open.get(key, (None, None))
        if current is stream:
            del self._open[key]
