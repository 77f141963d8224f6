"""The outermost layer of every service: names each request, measures it, and logs what failed.

Plain ASGI around Litestar's own stack, so that also unknown routes and broken requests have a correlation id.
"""

import time
from http import HTTPStatus
from urllib.parse import unquote
from uuid import uuid4

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from shared.contracts.problem import Problem
from shared.http.context import RequestTrace, attach_trace, parse_uuid
from shared.http.logging import correlation, get_logger, is_debugging
from shared.http.metrics import RequestMetrics
from shared.http.problems import PROBLEM_MEDIA_TYPE, problem_body, problem_headers
from shared.http.tracing import Span

log = get_logger("http")


async def send_problem(send: Send, problem: Problem, *, status: int | None = None) -> None:
    """Sends the error body as a whole response, for code that speaks ASGI itself."""
    body = problem_body(problem, status=status)
    content = msgspec.json.encode(body)
    headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", str(len(content)).encode()),
        *((name.encode(), value.encode()) for name, value in problem_headers(body.status).items()),
    ]
    await send({"type": "http.response.start", "status": body.status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})


def _names(scope: HTTPScope) -> tuple[str | None, str | None]:
    given = trace = None
    for name, value in scope["headers"]:
        if name == b"x-correlation-id":
            given = value.decode("latin-1")
        elif name == b"traceparent":
            trace = value.decode("latin-1")
    return given, trace


def _has_nul(scope: HTTPScope) -> bool:
    return "\0" in scope["path"] or (b"%00" in scope["query_string"] and "\0" in unquote(scope["query_string"]))


class Entry:
    """ASGI application around the router; `metrics` counts every request that came in."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        given, parent = _names(scope)
        correlation_id = parse_uuid(given) or uuid4()
        span = Span(scope["method"], parent, "server")
        trace = RequestTrace(correlation_id, span.traceparent)
        attach_trace(scope, trace)
        text = str(correlation_id)
        token = correlation.set(text)
        status = 0

        async def named_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                seconds = time.perf_counter() - started
                message["headers"] = [*message.get("headers", ()), (b"x-correlation-id", text.encode())]
                self._metrics.observe(scope["method"], _route(scope, trace), status, seconds)
            await send(message)

        try:
            if _has_nul(scope):
                await send_problem(
                    named_send, Problem("VALIDATION_FAILED", "The address contains the character U+0000")
                )
            else:
                await self._app(scope, receive, named_send)
        except Exception:
            # The status line was out already: all that is left is to cut the connection, lest it look complete.
            log.exception("response broken off", method=scope["method"], route=_route(scope, trace))
            raise
        finally:
            self._done(scope, trace, span, status, time.perf_counter() - started)
            correlation.reset(token)

    def _done(self, scope: HTTPScope, trace: RequestTrace, span: Span, status: int, seconds: float) -> None:
        method, route = scope["method"], _route(scope, trace)
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


def _route(scope: HTTPScope, trace: RequestTrace) -> str:
    template: str = trace.route or scope.get("path_template") or "unmatched"
    return template
