"""Passes a request on to a service and its response back, both as they come, and nothing of either kept.

A connection that is refused is tried again, at other replicas and for a short while, because nothing was sent yet: a
service that restarts is not noticed. What was sent is repeated at most once, and only where that can't do it twice.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import aiohttp
from litestar.types import HTTPScope, Receive, Send
from yarl import URL

from services.edge.headers import request_headers, response_headers
from services.edge.replicas import Replicas
from services.edge.request_body import ClientGone, RequestBody
from services.edge.routing import RoutingTable, Rule, Upstream
from shared.contracts.problem import Problem
from shared.http import Authenticator, get_logger
from shared.http.auth import check_roles
from shared.http.context import request_trace

log = get_logger("proxy")

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
SMALL_RESPONSE = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds in bytes and seconds."""

    body: int = 1024 * 1024
    upload: int = 5 * 1024**3
    connect: float = 2.0
    idle: float = 60.0
    """Longest silence of a service, before its response and within it. Open SSE streams send a comment every 15 s."""
    restart: float = 3.0
    """How long refused connections are tried again."""


def _unavailable(upstream: str, why: str) -> Problem:
    return Problem("UNAVAILABLE", f"The {upstream} service {why}")


@dataclass
class Proxy:
    session: aiohttp.ClientSession
    replicas: Mapping[Upstream, Replicas]
    authenticator: Authenticator
    limits: Limits = field(default_factory=Limits)
    table: RoutingTable = field(default_factory=RoutingTable)

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        raw_path = scope["raw_path"].decode("latin-1")
        method = scope["method"]
        rule = self.table.match(method, unquote(raw_path))
        if rule is None:
            raise Problem("NOT_FOUND", "There is nothing at this address")
        trace = request_trace(scope)
        trace.route = rule.pattern
        if rule.roles is not None:
            check_roles(await self.authenticator.authenticate(scope["headers"]), rule.roles)
        most = rule.body or (self.limits.upload if rule.upload else self.limits.body)
        body = RequestBody(list(scope["headers"]), receive, most, self.limits.idle)
        await _Exchange(self, scope, receive, send, rule, body, raw_path).run()


class _Exchange:
    """One request and its response. The client's going away, at any time, ends it and closes the service's side."""

    def __init__(
        self,
        proxy: Proxy,
        scope: HTTPScope,
        receive: Receive,
        send: Send,
        rule: Rule,
        body: RequestBody,
        raw_path: str,
    ) -> None:
        self._proxy, self._scope, self._receive, self._send = proxy, scope, receive, send
        self._rule, self._body = rule, body
        query = scope["query_string"].decode("latin-1")
        self._target = f"{raw_path}?{query}" if query else raw_path
        self._headers = request_headers(scope, request_trace(scope))
        self._repeatable = body.is_small and (
            scope["method"] in IDEMPOTENT or any(name == b"idempotency-key" for name, _ in scope["headers"])
        )
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._gone = False

    async def run(self) -> None:
        try:
            data = await self._data()
            response = await self._ask(data)
            try:
                await self._answer(response)
            finally:
                response.close()
        except ClientGone:
            log.debug("client went away while sending", route=self._rule.pattern)
        except asyncio.CancelledError:
            if not self._gone or self._task is None:
                raise
            self._task.uncancel()
            log.debug("client went away", route=self._rule.pattern)
        finally:
            if self._watcher is not None:
                self._watcher.cancel()

    async def _data(self) -> bytes | None:
        """A small body as a whole; None for no body, or for one that is streamed."""
        data = await self._body.read() if self._body.is_small else None
        if data is not None:
            self._watch()
        return data or None

    def _watch(self) -> None:
        """From the end of the body on, all that can come from the client is its going away."""
        self._watcher = asyncio.create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()

    async def _ask(self, data: bytes | None) -> aiohttp.ClientResponse:
        """The response of the first replica that gives one; UNAVAILABLE when none does in time."""
        upstream = self._proxy.replicas[self._rule.upstream]
        loop = asyncio.get_running_loop()
        until = loop.time() + self._proxy.limits.restart
        pause, repeats = 0.02, 1 if self._repeatable else 0
        while True:
            for base in upstream.in_turn():
                try:
                    with upstream.asked(base):
                        return await self._request(base, data)
                except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                    upstream.refused(base)
                except (aiohttp.ClientError, OSError) as error:
                    if self._body.failure is not None:
                        raise self._body.failure from error
                    if isinstance(error, TimeoutError):
                        raise _unavailable(upstream.name, "didn't answer in time") from error
                    if repeats == 0:
                        raise _unavailable(upstream.name, self._broken_off()) from error
                    repeats -= 1
            if loop.time() > until:
                raise _unavailable(upstream.name, "can't be reached right now; try again in a moment")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.25)

    def _broken_off(self) -> str:
        if self._scope["method"] in IDEMPOTENT:
            return "broke off; try again in a moment"
        return "broke off, and may have done it or not; sent with an Idempotency-Key, it is safe to try again"

    async def _request(self, base: str, data: bytes | None) -> aiohttp.ClientResponse:
        content: bytes | AsyncIterator[bytes] | None = data
        if not self._body.is_small:
            content = self._body.stream(self._watch)
        return await self._proxy.session.request(
            self._scope["method"],
            URL(base + self._target, encoded=True),
            headers=self._headers,
            data=content,
            allow_redirects=False,
        )

    async def _answer(self, response: aiohttp.ClientResponse) -> None:
        headers, length = response_headers(response.raw_headers)
        start: Any = {"type": "http.response.start", "status": response.status, "headers": headers}
        if length is not None and length <= SMALL_RESPONSE:
            try:
                content = await response.read()
            except (aiohttp.ClientError, OSError) as error:
                raise _unavailable(self._rule.upstream, self._broken_off()) from error
            await self._send(start)
            await self._send({"type": "http.response.body", "body": content, "more_body": False})
            return
        await self._send(start)
        async for chunk in response.content.iter_any():
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
