"""`Idempotency-Key` (IETF draft): a key stands for one request, and the same request sent again is done once.

Nothing is kept for it beside the events: a command's id follows from its key, and its first event knows a digest of the
request. Who sends another request under the key is told so, instead of getting the answer to the first.
"""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

import msgspec
from litestar import Request

from shared.eventstore import Context, EventStore
from shared.http.auth import Principal
from shared.http.context import command_context


def command_contexts(store: EventStore) -> Callable[[Request[Principal, Any, Any]], Awaitable[Context]]:
    """The dependency `context` of a service with a history; Problem IDEMPOTENCY_KEY_REUSED where it applies."""

    async def context(request: Request[Principal, Any, Any]) -> Context:
        made = command_context(request)
        if not made.repeatable:
            return made
        made = msgspec.structs.replace(made, fingerprint=await _fingerprint(request))
        await store.refuse_reuse(made)
        return made

    return context


async def _fingerprint(request: Request[Principal, Any, Any]) -> str:
    """Of the query and the body, byte by byte. A body that streams through is not waited for, and not in it."""
    digest = blake2b(request.scope["query_string"], digest_size=16)
    if request.route_handler.parsed_data_field is not None:
        digest.update(b"\n" + await request.body())
    return digest.hexdigest()
