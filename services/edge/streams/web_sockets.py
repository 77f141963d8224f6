"""Streams of events over WebSocket (RFC 6455): the same requests, answers and events as over HTTP, in another framing.

A handshake is handled as the GET that it is: by the same routes, with the same tokens and shared streams. A stream of
events is then sent as messages, each a JSON object `{"id", "event", "data"}`; any other response is the answer to the
handshake. What a browser can't set as a header comes in its URL or as a subprotocol.
"""

from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

SUBPROTOCOL = "emprops.events"
"""Chosen by the edge if the client offers it."""
BEARER = "bearer."
"""A subprotocol `bearer.<JWT>` stands for the header Authorization."""
LAST_EVENT_ID = "last_event_id"
"""The parameter of the URL that stands for the header Last-Event-ID."""
HANDSHAKE = (b"sec-websocket-", b"upgrade", b"connection")
ENDED = 1000
BROKEN = 1011
"""The close codes of a stream that has ended, and of one that broke off: a client then continues after its last id."""
MEDIA_TYPE = b"text/event-stream"

Headers = list[tuple[bytes, bytes]]


class WebSockets:
    """An ASGI application around the edge's own, which sees HTTP requests only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            await self._app(scope, receive, send)
            return
        offered = list(cast("Iterable[str]", scope.get("subprotocols") or ()))
        socket = EventSocket(receive, send, SUBPROTOCOL if SUBPROTOCOL in offered else None)
        try:
            await self._app(http_scope(scope, offered), socket.receive, socket.send)
        except Exception:
            if not socket.is_accepted:
                raise
            await socket.close(BROKEN)


def http_scope(scope: Any, offered: Iterable[str]) -> Scope:
    """The GET that a handshake is, with the headers that its URL and its subprotocols stand for."""
    headers: Headers = [(name, value) for name, value in scope["headers"] if not name.startswith(HANDSHAKE)]
    for token in [name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)]:
        headers.append((b"authorization", f"Bearer {token}".encode("latin-1")))
    query = scope["query_string"]
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if [name for name, _ in parameters] == [LAST_EVENT_ID]:
        headers.append((b"last-event-id", parameters[0][1].encode("latin-1", "replace")))
        query = b""
    request = {
        **scope,
        "type": "http",
        "method": "GET",
        "scheme": {"ws": "http", "wss": "https"}.get(scope["scheme"], "http"),
        "http_version": "1.1",
        "query_string": query,
        "headers": headers,
    }
    request.pop("subprotocols", None)
    return cast("Scope", request)


class EventSocket:
    """One connection, as the `receive` and `send` of an HTTP request."""

    def __init__(self, receive: Receive, send: Send, subprotocol: str | None) -> None:
        self._receive, self._send, self._subprotocol = receive, send, subprotocol
        self._has_request = False
        self._is_refused = False
        self.is_accepted = False
        self._rest = b""

    async def receive(self) -> Any:
        """The request, which has no body, then the client's disconnection: its messages are ignored."""
        if not self._has_request:
            self._has_request = True
            message = await self._receive()
            assert message["type"] == "websocket.connect"
            return {"type": "http.request", "body": b"", "more_body": False}
        while (await self._receive())["type"] != "websocket.disconnect":
            pass
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """A part of the HTTP response."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] == "http.response.body":
            await self._pass_on(message.get("body", b""), more=message.get("more_body", False))

    async def _start(self, message: Any) -> None:
        headers: Headers = list(message["headers"])
        media_type = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        self.is_accepted = message["status"] == 200 and media_type.startswith(MEDIA_TYPE)
        if self.is_accepted:
            correlation = [(name, value) for name, value in headers if name.lower() == b"x-correlation-id"]
            await self._reply("websocket.accept", subprotocol=self._subprotocol, headers=correlation)
        else:
            self._is_refused = True
            await self._reply("websocket.http.response.start", status=message["status"], headers=headers)

    async def _pass_on(self, content: bytes, *, more: bool) -> None:
        if self._is_refused:
            await self._reply("websocket.http.response.body", body=content, more_body=more)
            return
        *blocks, self._rest = (self._rest + content).split(b"\n\n")
        for block in blocks:
            if (text := event_message(block)) is not None:
                await self._reply("websocket.send", text=text)
        if not more:
            await self.close(ENDED)

    async def close(self, code: int) -> None:
        await self._reply("websocket.close", code=code)

    async def _reply(self, kind: str, **members: Any) -> None:
        await self._send(cast("Message", {"type": kind, **members}))


def event_message(block: bytes) -> str | None:
    """A block of a stream of events as a message; None for a block without data, such as a comment."""
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and not line.startswith(b":"))
    if b"data" not in fields:
        return None
    position = fields.get(b"id")
    message = {
        "id": None if position is None else int(position),
        "event": fields.get(b"event", b"message").decode(),
        "data": msgspec.Raw(fields[b"data"]),
    }
    return msgspec.json.encode(message).decode()
