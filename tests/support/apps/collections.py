"""The collections service as a client meets it: HTTP on a real server, PostgreSQL and NATS behind it."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from services.collections.app import SERVICE, build
from services.collections.settings import CollectionsSettings
from shared.eventstore import EventStore
from shared.runtime import Parts, Runtime, running
from tests.support.apps.client import ALICE, Answer, Client
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

SELLABLE = {"blockchain": "BASE", "editions": 10, "price": "0.05"}
"""What a collection needs beside its title and its steps to be published."""


class Api(Client):
    """Requests of one user or another."""

    def __init__(self, url: str, issuer: TokenIssuer, session: aiohttp.ClientSession, store: EventStore) -> None:
        super().__init__(url, issuer, session)
        self.store = store

    async def post(self, path: str, body: Any = None, user: UUID | None = ALICE, **request: Any) -> Answer:
        return await self.send("POST", path, user, json={} if body is None else body, **request)

    async def put(self, path: str, body: Any, user: UUID | None = ALICE, **request: Any) -> Answer:
        return await self.send("PUT", path, user, json=body, **request)

    async def text(self, path: str, user: UUID = ALICE) -> str:
        answer = await self.get(path, user)
        assert answer.status == 200
        return answer.text

    async def create(self, body: Any = None, user: UUID = ALICE, query: str = "", **request: Any) -> Any:
        return (await self.post(f"/projects/collections{query}", body, user, **request)).data


@contextlib.asynccontextmanager
async def collections_service(
    database: str, nats_url: str, folder: Path, *, clock: Callable[[], datetime] | None = None, **settings: Any
) -> AsyncIterator[Api]:
    """A service as its own process would be: all its loops run, and its HTTP is on a port."""

    async def built(runtime: Runtime) -> Parts:
        runtime.clock = clock or runtime.clock
        return await build(runtime)

    issuer = TokenIssuer(kid=secrets.token_hex(4))
    chosen = CollectionsSettings(
        database_url=database,
        nats_url=nats_url,
        auth_jwks_url=issuer.jwks_file(folder),
        auth_issuer=issuer.iss,
        auth_audience=AUDIENCE,
        **settings,
    )
    async with (
        running(SERVICE, chosen, built) as service,
        serving(service.app) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Api(url, issuer, session, service.runtime.store)


def two_steps() -> dict[str, Any]:
    return {
        "version": "v2",
        "steps": [
            {"id": 1, "nodeName": "sketch", "alias": "Main", "nodePayload": {"prompt": "portrait, {{style}}"}},
            {"id": 2, "nodeName": "frame", "nodePayload": {"image": {"$ref": 1}, "title": "like {{$ref:1}}"}},
        ],
        "generations": {"generations": 4, "hashes": [], "use_custom_hashes": False},
        "variables": [
            {
                "name": "style",
                "type": "pick",
                "value_type": "strings",
                "lock_value": False,
                "test_value": "noir",
                "value": {"display_names": ["Noir"], "values": ["noir"], "weights": [1]},
            }
        ],
    }
