"""The trace and the command context of a request: command id, actor, correlation id, traceparent."""

from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
from litestar import Request
from litestar.types import Scope

from shared.contracts.problem import invalid_header
from shared.eventstore import Context
from shared.http.auth import Principal

MAX_KEY = 255

_KEY = "emprops.trace"


class RequestTrace(msgspec.Struct):
    """A request's correlation id and traceparent; kept in the ASGI scope."""

    correlation_id: UUID
    traceparent: str
    route: str | None = None
    """The route template for metrics and logs, if Litestar has none (the edge's proxied routes)."""


def attach_trace(scope: Scope, trace: RequestTrace) -> None:
    """Stores the trace in the scope, for `request_trace`."""
    scope[_KEY] = trace  # type: ignore[literal-required]  # an extra key beside ASGI's own


def request_trace(scope: Scope) -> RequestTrace:
    """The correlation id and traceparent of the request with this scope."""
    trace: RequestTrace = scope[_KEY]  # type: ignore[literal-required]  # as above
    return trace


def parse_uuid(text: str | None) -> UUID | None:
    """The UUID that the text is in any of Python's forms; else None."""
    try:
        return UUID(text) if text is not None and len(text) <= 45 else None
    except ValueError:
        return None


def actor_of(user: Principal) -> str:
    """The actor that events record: `user:<uuid>`, or `worker:<uuid>` for a worker on that user's behalf."""
    return f"{'worker' if user.roles == {'worker'} else 'user'}:{user.user_id}"


def command_context(request: Request[Principal, Any, Any]) -> Context:
    """The context of the request's command.

    With Idempotency-Key, the command id is derived from user, method, path and key, so a request that is sent again is
    the same command. Raises VALIDATION_FAILED unless a key has 1 to MAX_KEY characters.
    """
    trace = request_trace(request.scope)
    user = request.user
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY):
        raise invalid_header("Idempotency-Key", f"must have 1 to {MAX_KEY} characters")
    return Context(
        command_id=uuid4() if key is None else uuid5(user.user_id, f"{request.method} {request.scope['path']} {key}"),
        actor=actor_of(user),
        correlation_id=trace.correlation_id,
        traceparent=trace.traceparent,
        repeatable=key is not None,
    )
