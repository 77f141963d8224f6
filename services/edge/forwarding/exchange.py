"""One request and its response, streamed in both directions; only bodies and responses up to 64 KiB are held whole.

If the service fails in the middle of a response, the connection is aborted, so a partial response never looks complete.
If the client disconnects, the request to the service is cancelled.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
from litestar.types import Receive, Send

from services.edge.forwarding.attempts import Attempts, ServiceRequest, unavailable
from services.edge.forwarding.request_body import ClientGone, ignore
from services.edge.headers import response_headers
from services.edge.streams.follower import Follower
from services.edge.streams.shared_streams import SharedStreams, StreamKey
from shared.http.positions import HEADER
from shared.telemetry import get_logger

log = get_logger("proxy")

SMALL_RESPONSE = 64 * 1024
"""Bytes up to which a response is read before any of it is passed on, so that a failure is still answered with 503."""


class Exchange:
    """Call `run` once, in the request's own task."""

    def __init__(
        self,
        request: ServiceRequest,
        attempts: Callable[[], Attempts],
        receive: Receive,
        send: Send,
        *,
        service: str,
        route: str,
        note_position: Callable[[str], None] | None = None,
        more_headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """`note_position` gets the `Emprops-Position` of the response; `more_headers` are added to it."""
        self._request, self._attempts, self._receive, self._send = request, attempts, receive, send
        self._service, self._route, self._note_position = service, route, note_position
        self._more_headers = more_headers
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._has_disconnected = False
        request.body.on_sent = self._watch_client

    async def run(self, streams: SharedStreams, key: StreamKey | None = None, after: int | None = None) -> None:
        """With a key, the response is a stream of events after the id `after`, which the clients of the key share."""
        try:
            await self._read_small_body()
            if key is not None and after is not None:
                response = await self._follow(streams, key, after)
            else:
                response = await self._attempts().response()
            if response is None:
                return
            try:
                await self._pass_on(response)
            finally:
                response.close()
        except ClientGone:
            log.debug("client went away while sending", route=self._route)
        except asyncio.CancelledError:
            if not self._has_disconnected or self._task is None:
                raise
            self._task.uncancel()
            log.debug("client went away", route=self._route)
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
            # Both refer to this exchange: without them it is freed now, and not by the garbage collector.
            self._watcher, self._request.body.on_sent = None, ignore

    async def _read_small_body(self) -> None:
        """Reads a small body completely, since it may be sent more than once. Others are streamed."""
        if self._request.body.is_small:
            self._request.data = await self._request.body.read() or None
            self._watch_client()

    def _watch_client(self) -> None:
        """Once its body has ended, the only message that a client can cause is its disconnection."""
        self._watcher = asyncio.create_task(self._cancel_on_disconnect())

    async def _cancel_on_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_disconnected = True
        if self._task is not None:
            self._task.cancel()

    async def _follow(self, streams: SharedStreams, key: StreamKey, after: int) -> aiohttp.ClientResponse | None:
        """Follows the stream to its end. Returns a response that is no such stream, to be passed on as it is."""

        async def open_stream(after: int | None) -> aiohttp.ClientResponse:
            if after is not None:
                self._request.replace_header("last-event-id", str(after))
            return await self._attempts().response()

        return await Follower(streams, key, after, open_stream, self._send).run()

    async def _pass_on(self, response: aiohttp.ClientResponse) -> None:
        headers, length = response_headers(response.raw_headers)
        if self._note_position is not None and (position := response.headers.get(HEADER)):
            self._note_position(position)
        headers.extend(self._more_headers)
        start: Any = {"type": "http.response.start", "status": response.status, "headers": headers}
        if length is not None and length <= SMALL_RESPONSE:
            try:
                async with asyncio.timeout(self._request.seconds):
                    content = await response.read()
            except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
                raise unavailable(self._service, f"broke off; {self._request.retry_advice}") from error
            await self._send(start)
            await self._send({"type": "http.response.body", "body": content, "more_body": False})
            return
        await self._send(start)
        async for chunk in response.content.iter_any():
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
