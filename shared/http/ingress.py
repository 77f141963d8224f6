"""The outermost layer of every service: names each request, measures it, and logs what failed.

Plain ASGI around Litestar's own stack, so that also unknown routes and broken requests have a correlation id. What no
router should see is refused here: addresses and headers that could mean one thing here and another one elsewhere.
"""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from shared.contracts.problem import Detail, Problem, invalid
from shared.http.context import RequestTrace, attach_trace, parse_uuid
from shared.http.problems import send_problem
from shared.http.strict_urls import check_escapes
from shared.telemetry.logging import correlation, get_logger, is_debugging
from shared.telemetry.metrics import RequestMetrics
from shared.telemetry.tracing import Span

CLIENT_CLOSED = 499
"""What metrics and logs call a request whose client went away before it was answered; nobody is sent this."""
SINGLE_HEADERS = frozenset(
    {b"idempotency-key", b"content-type", b"x-filename", b"x-content-sha256", b"last-event-id", b"range", b"if-range"}
)
CHECKED_HEADERS = SINGLE_HEADERS | {b"if-match", b"if-none-match"}
"""The headers that the API reads: visible ASCII, and but for lists of tags, once."""

_HEAD = "emprops.head"

log = get_logger("http")


def is_head(scope: Scope) -> bool:
    """Whether a request that is handled as a GET wants the headers only."""
    return bool(scope.get(_HEAD))


def check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises VALIDATION_FAILED for a header of ours whose bytes could be read in more than one way."""
    seen: set[bytes] = set()
    for name, value in headers:
        if name in CHECKED_HEADERS:
            title = "-".join(word.capitalize() for word in name.decode().split("-"))
            if not value.isascii() or not value.decode().isprintable():
                message = "must be visible ASCII"
                raise invalid(f"{title} {message}", Detail(f"header:{title}", message))
            if name in SINGLE_HEADERS and name in seen:
                message = "is given more than once"
                raise invalid(f"{title} {message}", Detail(f"header:{title}", message))
            seen.add(name)


def _names(scope: HTTPScope) -> tuple[str | None, str | None]:
    given = trace = None
    for name, value in scope["headers"]:
        if name == b"x-correlation-id":
            given = value.decode("latin-1")
        elif name == b"traceparent":
            trace = value.decode("latin-1")
    return given, trace


class Ingress:
    """ASGI application around the router; `metrics` counts every request that came in."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        given, parent = _names(scope)
        correlation_id = parse_uuid(given) or uuid4()
        span = Span(scope["method"], parent, "server")
        trace = RequestTrace(correlation_id, span.traceparent)
        text = str(correlation_id)
        token = correlation.set(text)

        def answers(status: int, seconds: float) -> None:
            self._metrics.observe(scope["method"], _route(request.scope, trace), status, seconds)

        request = _Request(scope, receive, send, text, answers)
        attach_trace(request.scope, trace)
        try:
            await self._handle(request)
        except Exception:
            # The status line was out already: all that is left is to cut the connection, lest it look complete.
            log.exception("response broken off", method=scope["method"], route=_route(request.scope, trace))
            raise
        finally:
            self._done(request, trace, span)
            correlation.reset(token)

    async def _handle(self, request: "_Request") -> None:
        try:
            check_escapes(request.scope)
            check_headers(request.scope["headers"])
        except Problem as problem:
            await send_problem(request.send, problem)
        else:
            await self._app(request.scope, request.receive, request.send)

    def _done(self, request: "_Request", trace: RequestTrace, span: Span) -> None:
        method, route, status = request.method, _route(request.scope, trace), request.status
        seconds = time.perf_counter() - request.started
        failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        span.end(
            name=f"{method} {route}",
            error=str(status) if failed else None,
            http__request__method=method,
            http__route=route,
            http__response__status_code=status,
        )
        if failed and not route.startswith("/health/"):
            # The answer names its correlation id: who comes with one must find it here.
            log.warning("request not served", method=method, route=route, status=status, seconds=round(seconds, 6))
        elif is_debugging():
            log.debug("request", method=method, route=route, status=status, seconds=round(seconds, 6))


class _Request:
    """One request on its way through. HEAD is handled as GET (RFC 9110, section 9.3.2), and its content left out."""

    def __init__(
        self,
        scope: HTTPScope,
        receive: Receive,
        send: Send,
        correlation_id: str,
        answers: Callable[[int, float], None],
    ) -> None:
        self.method = scope["method"]
        self.started = time.perf_counter()
        self.status = 0
        """Of the answer that has begun; 499 for a client that did not wait for it, and 0 before either."""
        self.scope = scope
        self._receive, self._send, self._correlation_id = receive, send, correlation_id
        self._answers = answers
        self._only_headers = self.method == "HEAD"
        self._over = False
        if self._only_headers:
            self.scope = cast("HTTPScope", cast("Any", {**scope, "method": "GET", _HEAD: True}))

    async def receive(self) -> Any:
        if self._over:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is(CLIENT_CLOSED)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is(message["status"])
            message["headers"] = [*message.get("headers", ()), (b"x-correlation-id", self._correlation_id.encode())]
        elif self._only_headers:
            if self._over:
                return
            self._over = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    def _is(self, status: int) -> None:
        if not self.status:
            self.status = status
            self._answers(status, time.perf_counter() - self.started)


def _route(scope: HTTPScope, trace: RequestTrace) -> str:
    template: str = trace.route or scope.get("path_template") or "unmatched"
    return template
