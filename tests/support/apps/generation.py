"""The generation service among its neighbours: collections and workers played by the test, credits the real one."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from services.generation.app import SERVICE, build
from services.generation.settings import GenerationSettings
from shared.contracts.collections import CollectionCreated, PreviewCreated
from shared.runtime import Running, running
from tests.support.apps.client import ALICE, Answer, Client
from tests.support.patience import PATIENCE, NotYet, eventually
from tests.support.publishing import Publisher
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

PROJECT = UUID(int=51)
SECRETS_KEY = base64.b64encode(bytes(range(32))).decode()
ANSWERED: dict[UUID, int] = {}
"""The position of each collection's creation."""


def data(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "v2", "steps": list(steps), "variables": [], "generations": {"generations": 1}, **more}


SKETCH = {"id": 11, "nodeName": "sketch", "nodePayload": {"prompt": "a fox, {{style}}", "seed": -1}}
FRAME = {"id": 12, "nodeName": "frame", "nodePayload": {"image": {"$ref": 11}, "title": "{{style}}"}}
STYLE = {"name": "style", "type": "pick", "value": {"values": ["ink", "oil"], "display_names": ["Ink", "Oil"]}}
ONE_STEP = data(SKETCH, variables=[STYLE])
FOXES = data(SKETCH, FRAME, variables=[STYLE], generations={"generations": 2})


class Told(NamedTuple):
    """One server-sent event; `id` is None for those that are not recorded."""

    id: int | None
    event: str
    data: Any


class Api(Client):
    """The service over HTTP, for one user or another; numbers in answers are exact (Decimal)."""

    parse_float = Decimal

    def __init__(self, url: str, issuer: TokenIssuer, session: aiohttp.ClientSession, service: Running) -> None:
        super().__init__(url, issuer, session)
        self.service, self.store = service, service.runtime.store

    async def generate(
        self, collection: UUID, user: UUID | None = ALICE, key: str | None = None, **body: Any
    ) -> Answer:
        """As a client does that was answered when it created the collection: with the position of that."""
        headers = {"Idempotency-Key": key} if key else {}
        if collection in ANSWERED:
            headers["Emprops-Position"] = f"collections:1:{ANSWERED[collection]}"
        return await self.send("POST", f"/collections/{collection}/generations", user, json=body, headers=headers)

    async def job(self, job_id: str) -> Any:
        return (await self.get(f"/jobs/{job_id}")).data

    async def ended(self, job_id: str, *statuses: str) -> Any:
        """The job when it has ended, with one of these statuses."""
        expected = statuses or ("completed",)
        await eventually(lambda: self._has_ended(job_id), f"job {job_id} to end")
        job = await self.job(job_id)
        assert job["status"] in expected, job
        return job

    async def _has_ended(self, job_id: str) -> bool:
        return (await self.job(job_id))["completed_at"] is not None

    @contextlib.asynccontextmanager
    async def follow(self, job_id: str, after: int | None = None) -> AsyncIterator[AsyncIterator[Told]]:
        await eventually(lambda: self._is_shown(job_id), f"job {job_id} to be shown")  # later, on a busy machine
        headers = {**self.issuer.bearer(ALICE), **({"Last-Event-ID": str(after)} if after is not None else {})}
        url = f"{self.url}/jobs/{job_id}/events"
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with self.session.get(url, headers=headers, timeout=timeout) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            yield _events(response)

    async def _is_shown(self, job_id: str) -> bool:
        answer = await self.get(f"/jobs/{job_id}")
        if answer.status == 503:
            raise NotYet(answer.body)
        return answer.status == 200

    async def told(self, job_id: str, after: int | None = None) -> list[Told]:
        """All events that a follower gets, to the end of the stream."""
        async with self.follow(job_id, after) as events:
            return [event async for event in events]


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    fields: dict[str, str] = {}
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            recorded = fields.get("id")
            yield Told(int(recorded) if recorded else None, fields["event"], json.loads(fields["data"]))
        fields = {}


def grant_key(folder: Path) -> Path:
    """A fresh private key as a JWK, in a file; the one that is there already, if any."""
    file = folder / "grant-key.json"
    if not file.exists():
        file.write_text(
            json.dumps({**OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True), "kid": "grants"})
        )
    return file


@contextlib.asynccontextmanager
async def generation_service(
    database: str, nats_url: str, folder: Path, issuer: TokenIssuer, **settings: Any
) -> AsyncIterator[Api]:
    chosen = GenerationSettings(
        database_url=database,
        nats_url=nats_url,
        auth_jwks_url=issuer.jwks_file(folder),
        auth_issuer=issuer.iss,
        auth_audience=AUDIENCE,
        grant_key_file=str(grant_key(folder)),
        storage_url="http://storage.test",
        emprops_secrets_key=SECRETS_KEY,
        public_url="https://api.test",
        **settings,
    )
    async with (
        running(SERVICE, chosen, build) as service,
        serving(service.app) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Api(url, issuer, session, service)


async def created(
    collections: Publisher, instructions: dict[str, Any], user: UUID = ALICE, title: str = "Foxes"
) -> UUID:
    """A collection, by the `collection_created` of the collections service."""
    collection = uuid4()
    event = CollectionCreated(collection, PROJECT, user, title, "", instructions)
    preview = PreviewCreated(collection, enabled=False, max_generations=3, is_remixable=False)
    ANSWERED[collection] = await collections.publish(collection, event, preview)
    return collection
