"""The outermost layer of every service: gives each request a correlation id, measures it, and logs failures.

It is plain ASGI around Litestar's own stack, so that it also covers unknown routes and malformed requests. It rejects
URLs and headers that this service and a proxy could interpret differently.
"""

import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from shared.contracts.problem import Problem, invalid_header
from shared.http.context import RequestTrace, attach_trace, parse_uuid
from shared.http.problems import send_problem
from shared.http.strict_urls import check_escapes
from shared.telemetry.logging import correlation, get_logger, is_debugging
from shared.telemetry.metrics import RequestMetrics
from shared.telemetry.tracing import Span

CLIENT_CLOSED = 499
"""The status in metrics and logs of a request whose client disconnected before the response; it is never sent."""
SINGLE_HEADERS = frozenset(
    {b"idempotency-key", b"content-type", b"x-filename", b"x-content-sha256", b"last-event-id", b"range", b"if-range"}
)
CHECKED_HEADERS = SINGLE_HEADERS | {b"if-match", b"if-none-match"}
"""The headers that the API reads. All must be visible ASCII, and SINGLE_HEADERS must occur once."""

_HEAD = "emprops.head"

log = get_logger("http")


def is_head(scope: Scope) -> bool:
    """Whether a request that is handled as a GET was a HEAD."""
    return bool(scope.get(_HEAD))


def check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises VALIDATION_FAILED for one of CHECKED_HEADERS that is not visible ASCII or is repeated."""
    names: set[bytes] = set()
    for name, value in headers:
        if name in CHECKED_HEADERS:
            if not value.isascii() or not value.decode().isprintable():
                raise invalid_header(name.decode().title(), "must be visible ASCII")
            if name in SINGLE_HEADERS and name in names:
                raise invalid_header(name.decode().title(), "is given more than once")
            names.add(name)


def _trace_headers(scope: HTTPScope) -> tuple[str | None, str | None]:
    """X-Correlation-ID and traceparent."""
    correlation_id = traceparent = None
    for name, value in scope["headers"]:
        if name == b"x-correlation-id":
            correlation_id = value.decode("latin-1")
        elif name == b"traceparent":
            traceparent = value.decode("latin-1")
    return correlation_id, traceparent


class Ingress:
    """An ASGI application around the router; `metrics` observes every request."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; other scopes (lifespan) are passed on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        sent_id, parent = _trace_headers(scope)
        correlation_id = parse_uuid(sent_id) or uuid4()
        span = Span(scope["method"], parent, "server")
        trace = RequestTrace(correlation_id, span.traceparent)
        text = str(correlation_id)
        token = correlation.set(text)
        request = _Request(scope, receive, send, text, trace, self._metrics)
        attach_trace(request.scope, trace)
        try:
            await self._handle(request)
        except Exception:
            # The status line was sent already: the connection is aborted, so the response does not look complete.
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
            # The response has the correlation id, by which an operator finds this entry.
            log.warning("request not served", method=method, route=route, status=status, seconds=round(seconds, 6))
        elif is_debugging():
            log.debug("request", method=method, route=route, status=status, seconds=round(seconds, 6))


class _Request:
    """One request. HEAD is handled as GET (RFC 9110, section 9.3.2), and the response's content is left out.

    Nothing that it refers to refers to it, so that it is freed at its end, with its body and all else in its scope,
    and not by the garbage collector.
    """

    def __init__(
        self,
        scope: HTTPScope,
        receive: Receive,
        send: Send,
        correlation_id: str,
        trace: RequestTrace,
        metrics: RequestMetrics,
    ) -> None:
        self.method = scope["method"]
        self.started = time.perf_counter()
        self.status = 0
        """The status of the response, once it has begun; 499 if the client disconnected before; else 0."""
        self.scope = scope
        self._receive, self._send, self._correlation_id = receive, send, correlation_id
        self._trace, self._metrics = trace, metrics
        self._only_headers = self.method == "HEAD"
        self._has_ended = False
        if self._only_headers:
            self.scope = cast("HTTPScope", cast("Any", {**scope, "method": "GET", _HEAD: True}))

    async def receive(self) -> Any:
        """ASGI's `receive`."""
        if self._has_ended:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._set_status(CLIENT_CLOSED)
        return message

    async def send(self, message: Message) -> None:
        """ASGI's `send`; adds X-Correlation-ID to the response."""
        if message["type"] == "http.response.start":
            self._set_status(message["status"])
            message["headers"] = [*message.get("headers", ()), (b"x-correlation-id", self._correlation_id.encode())]
        elif self._only_headers:
            if self._has_ended:
                return
            self._has_ended = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    def _set_status(self, status: int) -> None:
        if not self.status:
            self.status = status
            route = _route(self.scope, self._trace)
            self._metrics.observe(self.method, route, status, time.perf_counter() - self.started)


def _route(scope: HTTPScope, trace: RequestTrace) -> str:
    template: str = trace.route or scope.get("path_template") or "unmatched"
    return template
