"""From a request to the context of its command: who, on whose account, as part of what."""

from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
from litestar import Request
from litestar.types import Scope

from shared.contracts.problem import Detail, Problem
from shared.eventstore import Context
from shared.http.auth import Principal

MAX_KEY = 255

_KEY = "emprops.trace"


class RequestTrace(msgspec.Struct):
    """What the outermost layer knows of a request; it lives in the ASGI scope."""

    correlation_id: UUID
    traceparent: str
    route: str | None = None
    """The route template for metrics and logs, where it is not Litestar's own (the edge's proxied routes)."""


def attach_trace(scope: Scope, trace: RequestTrace) -> None:
    scope[_KEY] = trace  # type: ignore[literal-required]  # an extra key of ours beside ASGI's own


def request_trace(scope: Scope) -> RequestTrace:
    """The correlation id and traceparent of the request with this scope."""
    trace: RequestTrace = scope[_KEY]  # type: ignore[literal-required]  # as above
    return trace


def parse_uuid(text: str | None) -> UUID | None:
    """The UUID that the text is; None when it is none."""
    try:
        return UUID(text) if text is not None and len(text) <= 45 else None
    except ValueError:
        return None


def actor_of(user: Principal) -> str:
    """How events name the one who commanded: `user:<uuid>`, or `worker:<uuid>` for a worker on that user's behalf."""
    return f"{'worker' if user.roles == {'worker'} else 'user'}:{user.user_id}"


def command_context(request: Request[Principal, Any, Any]) -> Context:
    """The context of the one command that this request is.

    With Idempotency-Key, the command id is a function of user, method, path and key: the same request sent again is the
    same command, and ids derived from it come out the same. Raises VALIDATION_FAILED for an empty or overlong key.
    """
    trace = request_trace(request.scope)
    user = request.user
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY):
        message = f"must have 1 to {MAX_KEY} characters"
        raise Problem("VALIDATION_FAILED", f"Idempotency-Key {message}", Detail("header:Idempotency-Key", message))
    return Context(
        command_id=uuid4() if key is None else uuid5(user.user_id, f"{request.method} {request.scope['path']} {key}"),
        actor=actor_of(user),
        correlation_id=trace.correlation_id,
        traceparent=trace.traceparent,
        repeatable=key is not None,
    )
