"""Many who follow the same job through one stream of the service: it is read once, and handed to each of them.

The first one to come opens the stream, and the service decides about it. Who comes while it is open, for the same user
with the same roles, gets its frames from the channel, for as far back as the channel reaches; the others get a stream
of their own from the service until they have come so far. One that is too slow for the channel does that again. Each
has been verified here as the service does it, and the service has let this user follow this job.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

import aiohttp
from litestar.types import HTTPScope, Send

from services.edge.headers import BEGINS_BEHIND, Headers, response_headers
from shared.contracts.problem import Problem
from shared.contracts.sizes import KIB
from shared.http.channel import Channel, Frame
from shared.http.positions import HEADER as POSITION
from shared.http.strict_urls import read_whole_number
from shared.stopping import stop
from shared.telemetry.logging import get_logger

log = get_logger("following")

MEDIA_TYPE = "text/event-stream"
NOTHING_MORE = 204
LARGEST = 2 * 1024 * KIB
"""Bytes of one event: the largest that is recorded has half of that."""

Ask = Callable[[int | None], Awaitable[aiohttp.ClientResponse]]
"""Asks the service for the stream: as the client did, or behind an id."""


class Key(NamedTuple):
    user: UUID
    roles: frozenset[str]
    path: str


class Head(NamedTuple):
    """How the service began its answer: status and headers are the same for all who follow."""

    status: int
    headers: Headers


def begins_behind(scope: HTTPScope) -> int | None:
    """The id behind which a request wants its stream; None for a request that only the service can judge."""
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


class Broken(Exception):  # noqa: N818 - a state of the stream
    """The stream can't be continued: the client comes again, and says what it has seen."""


async def frames(response: aiohttp.ClientResponse) -> AsyncIterator[Frame]:
    """The service's stream, event by event, byte for byte. Raises what aiohttp raises when it breaks off."""
    rest = b""
    async for chunk in response.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n\n")
        for block in whole:
            yield Frame(_id_of(block), block + b"\n\n")
        if len(rest) > LARGEST:
            raise Broken("an event is too large")
    if rest:
        raise Broken("it ends in the middle of an event")


def _id_of(block: bytes) -> int | None:
    line, _, _ = block.partition(b"\n")
    return int(line[4:]) if line.startswith(b"id: ") else None


class Stream:
    """One open stream of the service, and the channel that tells its frames."""

    def __init__(self, response: aiohttp.ClientResponse, after: int) -> None:
        self.head = Head(response.status, response_headers(response.raw_headers)[0])
        self.channel = Channel[Frame](after)
        self.after = after
        self.preface = b""
        """What it began with, for who comes later: how long to wait before coming again."""
        self._response = response

    async def read(self) -> None:
        """Tells what the service sends, to its end; not faster than some follower takes it."""
        try:
            async for frame in frames(self._response):
                if frame.sent.startswith(b"retry:"):
                    self.preface = frame.sent
                await self.channel.room(frame)
                key = None if frame.sent.startswith(b":") else self.channel.told
                self.channel.add(frame, key)
        except (aiohttp.ClientError, OSError, Broken) as error:
            log.warning("stream broken off", error=repr(error), followers=self.channel.followers)
            self.channel.close(error)
        else:
            self.channel.close()
        finally:
            self._response.close()


class Streams:
    """The open streams, by who may follow what."""

    def __init__(self) -> None:
        self._open: dict[Key, tuple[Stream, asyncio.Task[None]]] = {}
        self._opening: dict[Key, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def current(self, key: Key) -> Stream | None:
        stream, _ = self._open.get(key, (None, None))
        return stream if stream is not None and not stream.channel.is_over else None

    async def found(self, key: Key) -> Stream | None:
        """The open one; one that is being opened is waited for."""
        if self.current(key) is None and (opening := self._opening.get(key)) is not None:
            await asyncio.shield(opening)
        return self.current(key)

    @contextmanager
    def opening(self, key: Key) -> Iterator[None]:
        """For the length of a block, others wait; unless there is a stream already."""
        if self.current(key) is not None:
            yield
            return
        done = self._opening.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            yield
        finally:
            if self._opening.get(key) is done:
                del self._opening[key]
            if not done.done():
                done.set_result(None)

    def opened(self, key: Key, response: aiohttp.ClientResponse) -> Stream | None:
        """A stream of this answer, if it is one that can be shared and there is none yet."""
        after = _shared_after(response)
        if after is None or self.current(key) is not None:
            return None
        stream = Stream(response, after)
        reading = asyncio.create_task(stream.read())
        self._open[key] = stream, reading
        reading.add_done_callback(lambda _: self._forget(key, stream))
        return stream

    async def left(self, key: Key, stream: Stream) -> None:
        """Ends the stream at the service, when the last one has left who followed it."""
        known, reading = self._open.get(key, (None, None))
        if not stream.channel.followers and known is stream and reading is not None:
            self._forget(key, stream)
            await stop(reading)

    def _forget(self, key: Key, stream: Stream) -> None:
        known, _ = self._open.get(key, (None, None))
        if known is stream:
            del self._open[key]


def _shared_after(response: aiohttp.ClientResponse) -> int | None:
    if response.status != 200 or response.content_type != MEDIA_TYPE:
        return None
    return read_whole_number(response.headers.get(BEGINS_BEHIND, ""))


class Following:
    """One who follows, from its request to the end of its answer."""

    def __init__(self, streams: Streams, key: Key, after: int, ask: Ask, send: Send) -> None:
        self._streams, self._key, self._after, self._ask, self._send = streams, key, after, ask, send
        self._has_begun = self._has_ended = False

    async def run(self) -> aiohttp.ClientResponse | None:
        """Follows to the end. An answer that is no stream to share is given back, to be passed on as it is."""
        stream = await self._streams.found(self._key)
        if stream is None or not stream.channel.reaches(self._after) or self._is_ahead_of(stream):
            with self._streams.opening(self._key):
                response = await self._ask(None)
                after = _shared_after(response)
                if after is None:
                    return response
                self._after, stream = after, self._streams.opened(self._key, response)
            if stream is None:
                stream = await self._catch_up(response)
        while stream is not None and await self._follow(stream):
            again = await self._return()
            stream = await self._catch_up(again) if again is not None else None
        if not self._has_ended:
            await self._write(b"", more=False)
        return None

    def _is_ahead_of(self, stream: Stream) -> bool:
        """Whether it names an id that the stream has not told yet: only the service knows whether there is one."""
        return self._after > max(stream.channel.newest, stream.after)

    async def _follow(self, stream: Stream) -> bool:
        """Up to the stream's end, or (True) until the channel no longer has what comes next."""
        channel = stream.channel
        try:
            with channel.following(self._after) as cursor:
                await self._begin(stream.head, stream.preface)
                while channel.reaches(cursor.after):
                    if news := channel.take(cursor):
                        self._after = cursor.after
                        self._has_ended = channel.is_over and channel.error is None
                        await self._write(b"".join([frame.sent for frame in news]), more=not self._has_ended)
                        if self._has_ended:
                            return False
                    elif channel.is_over:
                        if channel.error is not None:
                            raise Broken("the service's stream broke off")  # why, was said once for all
                        return False
                    else:
                        await channel.news(cursor)
        finally:
            await self._streams.left(self._key, stream)
        return True

    async def _return(self) -> aiohttp.ClientResponse | None:
        """It was too slow: the service has what the channel has no longer. None when nothing more comes."""
        try:
            response = await self._ask(self._after)
        except Problem as problem:
            raise Broken("the service is away") from problem
        if _shared_after(response) == self._after:
            return response
        response.close()
        if response.status == NOTHING_MORE:
            return None
        raise Broken("the service does not continue there")

    async def _catch_up(self, response: aiohttp.ClientResponse) -> Stream | None:
        """Passes a stream of its own on, until the one of all has come so far; None when it has ended before."""
        try:
            stream = self._streams.current(self._key)
            if stream is not None and stream.channel.reaches(self._after):
                return stream
            await self._begin(Head(response.status, response_headers(response.raw_headers)[0]))
            async for frame in frames(response):
                await self._write(frame.sent)
                self._after = frame.id or self._after
                stream = self._streams.current(self._key)
                if stream is not None and stream.channel.reaches(self._after):
                    return stream
        finally:
            response.close()
        return None

    async def _begin(self, head: Head, preface: bytes = b"") -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._send({"type": "http.response.start", "status": head.status, "headers": head.headers})
            if preface:
                await self._write(preface)

    async def _write(self, content: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": more})
