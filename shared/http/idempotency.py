"""`Idempotency-Key` (IETF draft): a request that is sent again with the same key is executed once.

Only events are stored: a command's id is derived from its key, and its first event has a fingerprint of the request. A
different request with the same key is refused.

A write with one tag in If-Match needs no key: a version can be changed once only, so an equal write based on the same
version is the same command, sent again because its response was lost. That does not hold for several tags, for `*`, on
routes that ignore If-Match, and on those with `ANOTHER_RESOURCE`.
"""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any
from uuid import uuid5

import msgspec
from litestar import Request

from shared.contracts.problem import Detail, Problem
from shared.eventstore import Context, EventStore
from shared.http.auth import Principal
from shared.http.context import command_context
from shared.http.etag import is_conditional, is_one_tag

ANOTHER_RESOURCE = {"if_match_repeats": False}
"""The `opt` of a write whose If-Match states a version of a resource that it does not change: an equal request is
another command."""
BODY_HEADERS = ("content-type", "x-filename", "x-content-sha256")
"""The headers that describe a body, and so are part of the request's fingerprint."""


def command_contexts(store: EventStore) -> Callable[[Request[Principal, Any, Any]], Awaitable[Context]]:
    """The dependency `context` of a service with an event store. It raises IDEMPOTENCY_KEY_REUSED."""

    async def provide_context(request: Request[Principal, Any, Any]) -> Context:
        context = command_context(request)
        if context.repeatable:
            context = msgspec.structs.replace(context, fingerprint=await _fingerprint(request))
            await store.refuse_reuse(context)
        elif (
            (tag := request.headers.get("if-match"))
            and is_one_tag(tag)
            and is_conditional(request.route_handler)
            and request.route_handler.opt.get("if_match_repeats", True)
        ):
            name = f"{request.method} {request.scope['path']} {tag} {await _fingerprint(request)}"
            context = msgspec.structs.replace(context, command_id=uuid5(request.user.user_id, name), repeatable=True)
        return context

    return provide_context


def reused_key() -> Problem:
    """The error for a different request with the same key."""
    message = "was used for another request"
    return Problem(
        "IDEMPOTENCY_KEY_REUSED",
        f"This Idempotency-Key {message}: send a new key with each new request",
        Detail("header:Idempotency-Key", message),
    )


async def _fingerprint(request: Request[Principal, Any, Any]) -> str:
    """A hex digest of the query, of BODY_HEADERS, and of the body's bytes.

    The body of a route with `opt={"streams": True}` is left out, since it is not in memory: its handler compares the
    file's sha256 with the first one's.
    """
    digest = blake2b(request.scope["query_string"], digest_size=16)
    for name in BODY_HEADERS:
        digest.update(b"\n" + request.headers.get(name, "").encode())
    if not request.route_handler.opt.get("streams"):
        digest.update(b"\n" + await request.body())
    return digest.hexdigest()
