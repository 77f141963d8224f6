"""A stub of a service behind the edge: an ASGI application that records its requests."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request at the stub, and the means to answer it by hand."""

    scope: Any
    receive: Any
    send: Any
    headers: dict[str, str] = field(default_factory=dict)
    body_length: int = 0
    body_sha256: str = ""

    async def read(self) -> None:
        """Reads the whole body, and records its length and hash."""
        digest = hashlib.sha256()
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return
            digest.update(message.get("body", b""))
            self.body_length += len(message.get("body", b""))
            more = message.get("more_body", False)
        self.body_sha256 = digest.hexdigest()

    async def start(self, status: int = 200, **headers: str) -> None:
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        await self.start(status, content_length=str(len(body)), **headers)
        await self.write(body, more=False)


class UpstreamStub:
    """Answers every request with a description of it, unless `answer` is set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = ""
        self.requests: list[Exchange] = []
        self.arrived = asyncio.Event()
        self.answer: Answer | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"] == "/health/live":  # the edge's health check
            await Exchange(scope, receive, send).answer(b"{}")
            return
        exchange = Exchange(scope, receive, send, headers)
        self.requests.append(exchange)
        self.arrived.set()
        await (self.answer or self._echo)(exchange)

    async def _echo(self, exchange: Exchange) -> None:
        await exchange.read()
        scope = exchange.scope
        description = {
            "service": self.name,
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": exchange.headers,
            "length": exchange.body_length,
            "sha256": exchange.body_sha256,
        }
        body = b"" if scope["method"] == "HEAD" else json.dumps(description).encode()
        await exchange.answer(body, content_type="application/json")


class Played:
    """A service that answers each command with the same answer, and keeps the bodies that it was sent."""

    def __init__(self, stub: UpstreamStub, status: int, answer: Any, headers: dict[str, str]) -> None:
        self.stub, self._headers = stub, headers
        self._status, self._body = status, answer
        self.bodies: list[bytes] = []
        stub.answer = self._answer

    @property
    def requests(self) -> list[Exchange]:
        return self.stub.requests

    async def reply(self, _body: bytes) -> tuple[int, Any]:
        """The status and the body of the answer to a command with this body."""
        return self._status, self._body

    async def _answer(self, exchange: Exchange) -> None:
        body, more = b"", True
        while more:
            message = await exchange.receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        status, answer = await self.reply(body)
        await exchange.answer(json.dumps(answer).encode(), status, content_type="application/json", **self._headers)
