"""Passes a request on to a service and its response back, both as they come, and nothing of either kept.

A connection that is refused is tried again, at other replicas and for a short while, because nothing was sent yet: a
service that restarts is not noticed. What was sent is repeated at most once, and only where that can't do it twice:
when it broke off, or when a replica keeps silent: then the first to answer of the two is believed. A read is answered
within 5 seconds, a command within 15, if only with 503 and whether it may have been done.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import aiohttp
from litestar.types import HTTPScope, Receive, Send
from yarl import URL

from services.edge.headers import request_headers, response_headers
from services.edge.replicas import Replicas
from services.edge.request_body import ClientGone, RequestBody
from services.edge.routing import RoutingTable, Rule, Upstream
from services.edge.shared_streams import Following, Key, Streams, begins_behind
from services.edge.user_positions import UserPositions
from shared.backoff import Backoff
from shared.contracts.problem import Problem
from shared.http import Authenticator
from shared.http.auth import check_roles
from shared.http.context import request_trace
from shared.http.ingress import is_head
from shared.http.positions import HEADER
from shared.stopping import stop
from shared.telemetry import get_logger

log = get_logger("proxy")

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
READS = frozenset({"GET", "HEAD", "OPTIONS"})
RECOGNIZED = frozenset({b"idempotency-key", b"if-match"})
"""The headers by which a service knows a command again."""
SMALL_RESPONSE = 64 * 1024
BODY_LOOK_SECONDS = 0.5
"""Seconds between two looks whether a body still goes on its way."""


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
    turn: float = 1.5
    """How long one replica may be silent before another is asked too, where that is safe."""
    read: float = 5.0
    command: float = 15.0
    """How long a request waits for its answer to begin, from the moment its body is sent."""


def _unavailable(upstream: str, why: str) -> Problem:
    return Problem("UNAVAILABLE", f"The {upstream} service {why}")


@dataclass
class Proxy:
    session: aiohttp.ClientSession
    replicas: Mapping[Upstream, Replicas]
    authenticator: Authenticator
    limits: Limits = field(default_factory=Limits)
    table: RoutingTable = field(default_factory=RoutingTable)
    seen: UserPositions = field(default_factory=UserPositions)
    streams: Streams = field(default_factory=Streams)

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        raw_path = scope["raw_path"].decode("latin-1")
        method = "HEAD" if is_head(scope) else scope["method"]
        rule = self.table.match(method, unquote(raw_path))
        if rule is None:
            raise Problem("NOT_FOUND", "There is nothing at this address")
        trace = request_trace(scope)
        trace.route = rule.pattern
        user, key = None, None
        if rule.roles is not None:
            principal = await self.authenticator.authenticate(scope["headers"])
            check_roles(principal, rule.roles)
            user = principal.user_id
            if rule.shared and method == "GET":
                key = Key(user, frozenset(principal.roles), raw_path)
        most = rule.body or (self.limits.upload if rule.upload else self.limits.body)
        body = RequestBody(list(scope["headers"]), receive, most, self.limits.idle)
        await _Exchange(self, scope, receive, send, rule, body, raw_path, method, user, key).run()


class _Turns:
    """The replicas of a service one after the other, and again after a pause, for as long as a restart may take."""

    def __init__(self, upstream: Replicas, restart: float) -> None:
        self._upstream, self._restart = upstream, restart
        self._began = asyncio.get_running_loop().time()
        self._backoff = Backoff(upstream.name, first=0.02, longest=0.25)
        self._untried = upstream.in_turn().copy()

    async def next(self) -> str:
        """The next one to ask. Raises UNAVAILABLE when all have been tried for long enough."""
        if not self._untried:
            if asyncio.get_running_loop().time() - self._began > self._restart:
                raise _unavailable(self._upstream.name, "can't be reached right now; try again in a moment")
            self._backoff.failures += 1
            await asyncio.sleep(self._backoff.next_pause())
            self._untried = self._upstream.in_turn().copy()
        return self._untried.pop(0)

    def another(self) -> str | None:
        """One that was not asked yet, beside the one that is silent."""
        return self._untried.pop(0) if self._untried else None


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
        method: str,
        user: UUID | None,
        key: Key | None,
    ) -> None:
        self._proxy, self._scope, self._receive, self._send = proxy, scope, receive, send
        self._rule, self._body, self._method, self._user = rule, body, method, user
        query = scope["query_string"].decode("latin-1")
        self._target = f"{raw_path}?{query}" if query else raw_path
        self._headers = request_headers(scope, request_trace(scope))
        if user is not None and (seen := proxy.seen.of(user)):
            self._headers.append((HEADER, seen))
        recognized = any(name in RECOGNIZED for name, _ in scope["headers"])
        self._repeatable = body.is_small and (method in IDEMPOTENT or recognized)
        self._may_turn = body.is_small and (method in READS or recognized)
        """Whether two replicas may be asked at the same time."""
        self._within = proxy.limits.read if method in READS else proxy.limits.command
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._gone = False
        self._key, self._begins_behind = key, begins_behind(scope) if key is not None and body.is_small else None

    async def run(self) -> None:
        try:
            data = await self._data()
            response = await self._follow(data) if self._begins_behind is not None else await self._ask(data)
            if response is None:
                return
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

    async def _follow(self, data: bytes | None) -> aiohttp.ClientResponse | None:
        """Follows a stream of events with others; an answer that is none is given back."""
        assert self._key is not None
        assert self._begins_behind is not None

        async def ask(after: int | None) -> aiohttp.ClientResponse:
            if after is not None:
                others = [each for each in self._headers if each[0] != "last-event-id"]
                self._headers = [*others, ("last-event-id", str(after))]
            return await self._ask(data)

        return await Following(self._proxy.streams, self._key, self._begins_behind, ask, self._send).run()

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
        turns, began = _Turns(upstream, self._proxy.limits.restart), asyncio.get_running_loop().time()
        asked: set[asyncio.Task[aiohttp.ClientResponse]] = set()
        try:
            while True:
                if not asked:
                    asked.add(self._start(upstream, await turns.next(), data))
                silence = await self._silence(asked, began)
                if (response := self._answered(upstream.name, asked)) is not None:
                    return response
                if asked and silence > self._within:
                    raise _unavailable(upstream.name, f"didn't answer in time; {self._outcome()}")
                turn = silence > self._proxy.limits.turn and self._may_turn and len(asked) == 1
                if turn and (other := turns.another()) is not None:
                    asked.add(self._start(upstream, other, data))
        finally:
            await stop(*asked)
            for each in asked:
                if not each.cancelled() and each.exception() is None:
                    each.result().close()

    def _answered(
        self, upstream: str, asked: "set[asyncio.Task[aiohttp.ClientResponse]]"
    ) -> aiohttp.ClientResponse | None:
        """The answer of one that was asked, if there is one; those that failed are left out, when others may mend it.

        Raises what is to be told otherwise.
        """
        for each in [each for each in asked if each.done()]:
            asked.discard(each)
            error = each.exception()
            if error is None:
                return each.result()
            if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                continue
            if self._body.failure is not None:
                raise self._body.failure from error
            if not isinstance(error, aiohttp.ClientError | OSError):
                raise error
            if asked:
                continue
            if isinstance(error, TimeoutError):
                raise _unavailable(upstream, f"didn't answer in time; {self._outcome()}") from error
            if not self._repeatable:
                raise _unavailable(upstream, f"broke off; {self._outcome()}") from error
            self._repeatable = False
        return None

    def _start(self, upstream: Replicas, base: str, data: bytes | None) -> "asyncio.Task[aiohttp.ClientResponse]":
        async def ask() -> aiohttp.ClientResponse:
            try:
                with upstream.asked(base):
                    return await self._request(base, data)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                upstream.refused(base)
                raise

        return asyncio.create_task(ask())

    async def _silence(self, asked: "set[asyncio.Task[aiohttp.ClientResponse]]", began: float) -> float:
        """Waits until one of them has ended, or is to be looked at; for how long they have been silent, in seconds."""
        loop = asyncio.get_running_loop()
        silent = loop.time() - max(began, self._body.moved_at)
        bounds = [bound - silent for bound in (self._proxy.limits.turn, self._within) if bound >= silent]
        await asyncio.wait(
            asked, timeout=min([BODY_LOOK_SECONDS, *bounds]) + 0.001, return_when=asyncio.FIRST_COMPLETED
        )
        return 0.0 if self._body.waits_for_client else loop.time() - max(began, self._body.moved_at)

    def _outcome(self) -> str:
        """What the client is told of what it asked for."""
        if self._method in IDEMPOTENT:
            return "it is safe to try again in a moment"
        return "it may have been done or not; sent with an Idempotency-Key, it is safe to try again"

    async def _request(self, base: str, data: bytes | None) -> aiohttp.ClientResponse:
        content: bytes | AsyncIterator[bytes] | None = data
        if not self._body.is_small:
            content = self._body.stream(self._watch)
        return await self._proxy.session.request(
            self._method,
            URL(base + self._target, encoded=True),
            headers=self._headers,
            data=content,
            allow_redirects=False,
        )

    async def _answer(self, response: aiohttp.ClientResponse) -> None:
        headers, length = response_headers(response.raw_headers)
        if self._user is not None and (told := response.headers.get(HEADER)):
            self._proxy.seen.note(self._user, told)
        start: Any = {"type": "http.response.start", "status": response.status, "headers": headers}
        if length is not None and length <= SMALL_RESPONSE:
            try:
                async with asyncio.timeout(self._within):
                    content = await response.read()
            except (aiohttp.ClientError, OSError) as error:  # a timeout is one
                raise _unavailable(self._rule.upstream, f"broke off; {self._outcome()}") from error
            await self._send(start)
            await self._send({"type": "http.response.body", "body": content, "more_body": False})
            return
        await self._send(start)
        async for chunk in response.content.iter_any():
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
