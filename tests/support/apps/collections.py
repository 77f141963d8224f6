"""The collections service as a client meets it: HTTP on a real server, PostgreSQL and NATS behind it."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from services.collections.app import SERVICE, build
from services.collections.settings import CollectionsSettings
from shared.contracts.collections import ArtworkDrawn, ArtworkFile, ArtworkMade, SeriesBegun, SeriesFinished
from shared.eventstore import Context, EventStore, StreamAppend
from shared.runtime import Parts, Runtime, running
from tests.support.apps.client import ALICE, Answer, Client
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

SELLABLE = {"blockchain": "BASE", "editions": 1, "price": "0.05"}
"""What a collection needs beside its title, its steps and its artworks to be published."""


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

    async def make_artworks(
        self, collection: Any, count: int = 1, user: UUID = ALICE, mime_type: str = "image/png"
    ) -> tuple[UUID, list[UUID]]:
        """A finished job of the collection's, as its consumer records it; its id, and those of its generations."""
        job_id, gids, collection_id = uuid4(), [uuid4() for _ in range(count)], UUID(collection["id"])
        context = Context(command_id=uuid4(), actor="test")
        await self.store.append(
            [StreamAppend(job_id, 0, [SeriesBegun(job_id, collection_id, user, gids)])],
            context,
        )
        artworks = []
        for place, gid in enumerate(gids):
            hash_, path = f"{gid.int:064x}", f"generations/{gid}.png"
            file = ArtworkFile(place + 1, f"https://cdn.example/{gid}.png", path, mime_type, hash_, 10)
            events = [
                ArtworkDrawn(gid, job_id, collection_id, user, place, hash_, {}),
                ArtworkMade(gid, job_id, collection_id, [], [file]),
            ]
            artworks.append(StreamAppend(gid, 0, events))
        for first in range(0, count, 200):
            await self.store.append(artworks[first : first + 200], Context(uuid4(), "test"))
        finished = SeriesFinished(job_id, collection_id, count)
        await self.store.append([StreamAppend(job_id, 1, [finished])], Context(uuid4(), "test"))
        return job_id, gids

    async def publish(self, collection: Any, body: Any = None, user: UUID = ALICE, **request: Any) -> Answer:
        """Makes one artwork, and publishes the collection with it."""
        job_id, _ = await self.make_artworks(collection, 1, user)
        path = f"/collections/{collection['id']}/publish"
        return await self.post(path, {"job_id": str(job_id), **(body or {})}, user, **request)

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
