"""The collections service as a client meets it: HTTP on a real server, PostgreSQL and NATS behind it."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp

from services.collections.app import SERVICE, build
from services.collections.settings import CollectionsSettings
from shared.eventstore import EventStore
from shared.runtime import Parts, Runtime, running
from tests.support.patience import asked_again
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

ALICE, BOB = UUID(int=1), UUID(int=2)
SELLABLE = {"blockchain": "BASE", "editions": 10, "price": "0.05"}
"""What a collection needs beside its title and its steps to be published."""


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def data(self) -> Any:
        assert self.status < 300, self.body
        assert self.body["error"] is None
        return self.body["data"]

    @property
    def code(self) -> tuple[int, str]:
        return self.status, self.body["code"]

    @property
    def pointers(self) -> list[str]:
        return [detail["pointer"] for detail in self.body["details"]]


class Api:
    """Requests of one user or another."""

    def __init__(self, url: str, issuer: TokenIssuer, store: EventStore, session: aiohttp.ClientSession) -> None:
        self.is_patient = True  # whether it asks again while it is told that something is not shown yet
        self.url, self.store, self._issuer, self._session = url, store, issuer, session

    async def send(self, method: str, path: str, user: UUID | None = ALICE, **request: Any) -> Answer:
        headers = {**(self._issuer.bearer(user) if user else {}), **request.pop("headers", {})}
        ask = partial(self._send, method, path, headers, request)
        return await (asked_again(ask) if self.is_patient else ask())

    async def _send(self, method: str, path: str, headers: dict[str, str], request: dict[str, Any]) -> Answer:
        async with self._session.request(method, self.url + path, headers=headers, **request) as response:
            body = await response.json(content_type=None) if response.content_length else None
            return Answer(response.status, body, response.headers)

    async def get(self, path: str, user: UUID | None = ALICE, **request: Any) -> Answer:
        return await self.send("GET", path, user, **request)

    async def post(self, path: str, body: Any = None, user: UUID | None = ALICE, **request: Any) -> Answer:
        return await self.send("POST", path, user, json={} if body is None else body, **request)

    async def put(self, path: str, body: Any, user: UUID | None = ALICE, **request: Any) -> Answer:
        return await self.send("PUT", path, user, json=body, **request)

    async def text(self, path: str, user: UUID = ALICE) -> str:
        async with self._session.get(self.url + path, headers=self._issuer.bearer(user)) as response:
            assert response.status == 200
            return await response.text()

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
        yield Api(url, issuer, service.runtime.store, session)


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
