"""One client of a shared stream, from its request to the end of its response.

It gets frames from the stream's channel as far back as the channel reaches. A client that needs older events gets a
stream of its own from the service until it has caught up with the channel; so does one that reads too slowly for it.
"""

from collections.abc import Awaitable, Callable

import aiohttp
from litestar.types import Send

from services.edge.streams.shared_streams import (
    ResponseHead,
    SharedStream,
    SharedStreams,
    StreamBroken,
    StreamKey,
    actual_start,
    read_frames,
)
from shared.contracts.problem import Problem

NO_CONTENT = 204

OpenStream = Callable[[int | None], Awaitable[aiohttp.ClientResponse]]
"""Requests the stream from the service, after the id given; None: exactly as the client requested it."""


class Follower:
    """Call `run` once."""

    def __init__(self, streams: SharedStreams, key: StreamKey, after: int, open_stream: OpenStream, send: Send) -> None:
        self._streams, self._key, self._after = streams, key, after
        self._open_stream, self._send = open_stream, send
        self._has_begun = self._has_ended = False
        self._lost_id: int | None = None
        """The id that the client has, if the service's history has no such event."""

    async def run(self) -> aiohttp.ClientResponse | None:
        """Follows to the stream's end. Returns a response that is no stream to share, for the caller to pass on.

        Raises StreamBroken and what aiohttp raises, so that the connection is aborted: the client then reconnects.
        """
        stream = await self._streams.wait_for(self._key)
        if stream is None or not stream.channel.reaches(self._after) or self._is_ahead_of(stream):
            with self._streams.opening(self._key):
                response = await self._open_stream(None)
                start = actual_start(response)
                if start is None:
                    return response
                self._lost_id = self._after if start < self._after else None
                self._after, stream = start, self._streams.share(self._key, response)
            if stream is None:
                stream = await self._catch_up(response)
        while stream is not None and await self._follow(stream):
            reopened = await self._reopen()
            stream = await self._catch_up(reopened) if reopened is not None else None
        if not self._has_ended:
            await self._write(b"", more=False)
        return None

    def _is_ahead_of(self, stream: SharedStream) -> bool:
        """Whether the client has an id that the stream has not had yet: only the service knows whether it exists."""
        return self._after > max(stream.channel.newest, stream.after)

    async def _follow(self, stream: SharedStream) -> bool:
        """Passes on the channel's frames: False at the stream's end, True once the channel has dropped the next one."""
        channel = stream.channel
        try:
            with channel.subscribe(self._after) as subscriber:
                await self._begin(stream.head, stream.retry_field)
                while channel.reaches(subscriber.after):
                    if frames := channel.take(subscriber):
                        self._after = subscriber.after
                        self._has_ended = channel.is_closed and channel.error is None
                        await self._write(b"".join([frame.encoded for frame in frames]), more=not self._has_ended)
                        if self._has_ended:
                            return False
                    elif channel.is_closed:
                        if channel.error is not None:
                            raise StreamBroken("the service's stream broke off")  # its reader has logged the cause
                        return False
                    else:
                        await channel.wait(subscriber)
        finally:
            await self._streams.close_unused(self._key, stream)
        return True

    async def _reopen(self) -> aiohttp.ClientResponse | None:
        """The service's stream after the last event passed on; None if there are no more events."""
        try:
            response = await self._open_stream(self._after)
        except Problem as problem:
            raise StreamBroken("the service can't be reached") from problem
        if actual_start(response) == self._after:
            return response
        response.close()
        if response.status == NO_CONTENT:
            return None
        raise StreamBroken(f"the service does not continue after {self._after}")

    async def _catch_up(self, response: aiohttp.ClientResponse) -> SharedStream | None:
        """Passes on a stream of its own until the shared one has the next event; None if it ends before that."""
        try:
            stream = self._reached_stream()
            if stream is not None:
                return stream
            await self._begin(ResponseHead.of(response))
            async for frame in read_frames(response):
                await self._write(frame.encoded)
                self._after = frame.id or self._after
                stream = self._reached_stream()
                if stream is not None:
                    return stream
        finally:
            response.close()
        return None

    def _reached_stream(self) -> SharedStream | None:
        stream = self._streams.current(self._key)
        return stream if stream is not None and stream.channel.reaches(self._after) else None

    async def _begin(self, head: ResponseHead, retry_field: bytes = b"") -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._send({"type": "http.response.start", "status": head.status, "headers": head.headers})
            if retry_field:
                await self._write(retry_field)
            if self._lost_id is not None:
                await self._write(b'event: gap\ndata: {"after": %d}\n\n' % self._lost_id)

    async def _write(self, content: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": more})
