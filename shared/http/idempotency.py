"""`Idempotency-Key` (IETF draft): a key stands for one request, and the same request sent again is done once.

Nothing is kept for it beside the events: a command's id follows from its key, and its first event knows a digest of the
request. Who sends another request under the key is told so, instead of getting the answer to the first.

A write with If-Match needs no key to be recognised: a version is met once, so the same write based on it is the same
command, whose first answer may have been lost.
"""

import re
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

BODY_HEADERS = ("content-type", "x-filename", "x-content-sha256")
"""The headers that say what a body is, and so are part of the request."""

_ONE_TAG = re.compile(r'"[!#-~]*"')


def command_contexts(store: EventStore) -> Callable[[Request[Principal, Any, Any]], Awaitable[Context]]:
    """The dependency `context` of a service with a history; Problem IDEMPOTENCY_KEY_REUSED where it applies."""

    async def context(request: Request[Principal, Any, Any]) -> Context:
        made = command_context(request)
        if made.repeatable:
            made = msgspec.structs.replace(made, fingerprint=await _fingerprint(request))
            await store.refuse_reuse(made)
        elif (tag := request.headers.get("if-match")) and _ONE_TAG.fullmatch(tag):
            name = f"{request.method} {request.scope['path']} {tag} {await _fingerprint(request)}"
            made = msgspec.structs.replace(made, command_id=uuid5(request.user.user_id, name), repeatable=True)
        return made

    return context


def reused_key() -> Problem:
    """A key stands for one request."""
    message = "was used for another request"
    return Problem(
        "IDEMPOTENCY_KEY_REUSED",
        f"This Idempotency-Key {message}: give each request a key of its own",
        Detail("header:Idempotency-Key", message),
    )


async def _fingerprint(request: Request[Principal, Any, Any]) -> str:
    """Of the query, of what the headers say of the body, and of the body, byte by byte.

    A file that streams through is not waited for, and not in it: who takes it in compares its sha256.
    """
    digest = blake2b(request.scope["query_string"], digest_size=16)
    for name in BODY_HEADERS:
        digest.update(b"\n" + request.headers.get(name, "").encode())
    if not request.route_handler.opt.get("streams"):
        digest.update(b"\n" + await request.body())
    return digest.hexdigest()
