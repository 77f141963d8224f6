"""A service with a route of each kind, for the tests of what all services have in common."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import msgspec
from litestar import Litestar, Response, get, post

from shared.contracts.problem import Problem
from shared.eventstore import Context, StoreUnavailable
from shared.http import (
    Authenticator,
    CommandContext,
    CommandPrecondition,
    Cursor,
    Envelope,
    FromPath,
    Issuer,
    JSONBody,
    Limit,
    Page,
    User,
    create_app,
    decode_cursor,
    require_role,
)
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer


class Step(msgspec.Struct):
    id: int


class Draft(msgspec.Struct):
    data: list[Step]
    title: str = ""


class Made(msgspec.Struct):
    user_id: UUID
    context: Context
    versions: list[int]
    draft: Draft


@post("/projects/{project_id:uuid}/drafts")
async def make(
    project_id: FromPath[UUID],
    data: JSONBody[Draft],
    principal: User,
    context: CommandContext,
    precondition: CommandPrecondition,
) -> Envelope[Made]:
    """Returns its body and its context."""
    return Envelope(Made(principal.user_id, context, sorted(precondition.any_of or ()), data))


@get("/drafts")
async def drafts(limit: Limit = 20, cursor: Cursor = None) -> Page[Step]:
    """A list."""
    position = decode_cursor(cursor, int) if cursor else 0
    return Page([Step(position)] * min(limit, 3))


@post("/conflict")
async def conflict() -> None:
    raise Problem("VERSION_CONFLICT", "It has changed since")


@get("/bug")
async def bug() -> None:
    raise RuntimeError("postgresql://u:hunter2@h")


@get("/outage")
async def outage() -> None:
    raise StoreUnavailable("postgresql://u:hunter2@h")


@get("/operators", guards=[require_role("operator")])
async def operators() -> Envelope[str]:
    return Envelope("yes")


@get("/workers", opt={"roles": {"worker"}})
async def workers() -> Envelope[str]:
    return Envelope("yes")


@get("/open", opt={"public": True})
async def public() -> Response[str]:
    return Response("yes")


DRAFTS = f"/projects/{uuid4()}/drafts"
JSON = {"Content-Type": "application/json"}
ROUTES = [make, drafts, conflict, bug, outage, operators, workers, public]


@dataclass
class Service:
    client: aiohttp.ClientSession
    url: str
    issuer: TokenIssuer
    app: Litestar

    async def call(self, method: str, path: str, *roles: str, **options: Any) -> tuple[aiohttp.ClientResponse, Any]:
        """The response and its body as JSON; with a user's token unless `headers` are passed."""
        options["headers"] = {**self.issuer.bearer(None, *roles), **options.get("headers", {})}
        async with self.client.request(method, self.url + path, **options) as response:
            text = await response.read()
            return response, json.loads(text) if text else None


@contextlib.asynccontextmanager
async def drafts_service(folder: Path) -> AsyncIterator[Service]:
    issuer = TokenIssuer()
    roles = frozenset({"user", "operator", "worker"})
    app = create_app(
        title="Drafts",
        route_handlers=ROUTES,
        authenticator=Authenticator([Issuer(issuer.iss, issuer.jwks_file(folder), roles)], AUDIENCE),
        max_body_bytes=10_000,
    )
    async with serving(app) as url, aiohttp.ClientSession() as client:
        yield Service(client, url, issuer, app)
