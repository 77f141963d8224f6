"""The generation service among its neighbours: collections and workers played by the test, credits the real one."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4, uuid5

import aiohttp
import jwt
import msgspec
import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from services.generation.app import SERVICE, build
from services.generation.broker import ensure_work_streams
from services.generation.settings import GenerationSettings
from shared.contracts.collections import CollectionCreated
from shared.contracts.generation import Output, StepError
from shared.contracts.storage import EVENTS as STORAGE_EVENTS
from shared.contracts.storage import AssetStored
from shared.contracts.work import WORK_STREAM, Progress, WorkMessage, WorkResult
from shared.messaging.connection import connected
from shared.runtime import Running, running
from tests.support.patience import PATIENCE, eventually
from tests.support.publishing import Publisher, publisher
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

ALICE, BOB = UUID(int=1), UUID(int=2)
PROJECT = UUID(int=51)
ANSWERED: dict[UUID, int] = {}
"""The position of each collection's creation."""


def data(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "v2", "steps": list(steps), "variables": [], "generations": {"generations": 1}, **more}


SKETCH = {"id": 11, "nodeName": "sketch", "nodePayload": {"prompt": "a fox, {{style}}", "seed": -1}}
FRAME = {"id": 12, "nodeName": "frame", "nodePayload": {"image": {"$ref": 11}, "title": "{{style}}"}}
STYLE = {"name": "style", "type": "pick", "value": {"values": ["ink", "oil"], "display_names": ["Ink", "Oil"]}}
FOXES = data(SKETCH, FRAME, variables=[STYLE], generations={"generations": 2})


class Answer(NamedTuple):
    status: int
    body: Any
    text: str

    @property
    def data(self) -> Any:
        assert self.status < 300, self.body
        assert self.body["error"] is None
        return self.body["data"]

    @property
    def refusal(self) -> tuple[int, str, list[str]]:
        return self.status, self.body["code"], [detail["pointer"] for detail in self.body["details"]]


class Told(NamedTuple):
    """One server-sent event; `id` is None for those that are not recorded."""

    id: int | None
    event: str
    data: Any


class Api:
    """The service over HTTP, for one user or another; numbers in answers are exact (Decimal)."""

    def __init__(self, url: str, issuer: TokenIssuer, service: Running, session: aiohttp.ClientSession) -> None:
        self.url, self.service, self.store = url, service, service.runtime.store
        self._issuer, self._session = issuer, session

    async def send(self, method: str, path: str, user: UUID | None = ALICE, **request: Any) -> Answer:
        headers = {**(self._issuer.bearer(user) if user else {}), **request.pop("headers", {})}
        async with self._session.request(method, self.url + path, headers=headers, **request) as response:
            text = await response.text()
            return Answer(response.status, json.loads(text, parse_float=Decimal) if text else None, text)

    async def get(self, path: str, user: UUID | None = ALICE) -> Answer:
        return await self.send("GET", path, user)

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
        wanted = statuses or ("completed",)
        await eventually(lambda: self._has_ended(job_id), f"job {job_id} to end")
        job = await self.job(job_id)
        assert job["status"] in wanted, job
        return job

    async def _has_ended(self, job_id: str) -> bool:
        return (await self.job(job_id))["completed_at"] is not None

    @contextlib.asynccontextmanager
    async def follow(self, job_id: str, after: int | None = None) -> AsyncIterator[AsyncIterator[Told]]:
        headers = {**self._issuer.bearer(ALICE), **({"Last-Event-ID": str(after)} if after is not None else {})}
        url = f"{self.url}/jobs/{job_id}/events"
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with self._session.get(url, headers=headers, timeout=timeout) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            yield _events(response)

    async def told(self, job_id: str, after: int | None = None) -> list[Told]:
        """Everything that a follower is told, to the end of the stream."""
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


async def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
    """Waits for a condition, and says which one never came."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - it comes true in another process or loop
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:g} s for {what}") from None


Behaviour = Callable[[WorkMessage], WorkResult | None]


class Worker:
    """A worker of all services. `behave` says what comes of a message of work; None: no result, and no sign of life."""

    def __init__(self, js: JetStreamContext, client: Client, storage: Publisher) -> None:
        self.js, self._client, self.storage = js, client, storage
        self.behave: Behaviour = finished
        self.worked: list[WorkMessage] = []
        self.told: Callable[[WorkResult, Output], AssetStored | None] = stored
        """What storage tells of a file; None: nothing."""
        self._stored: set[str] = set()
        self.may_work = asyncio.Event()
        self.may_work.set()

    async def run(self) -> None:
        await self.recover()
        while True:
            await self.may_work.wait()
            try:
                for message in await self._subscription.fetch(1, 0.5):
                    await self._work(msgspec.json.decode(message.data, type=WorkMessage))
                    await message.ack()
            except nats.errors.TimeoutError:
                continue
            except nats.errors.Error:
                await self.recover()

    async def recover(self) -> None:
        """Subscribes, again when the broker has lost its streams."""
        await ensure_work_streams(self._client)
        await self.js.add_consumer(WORK_STREAM, ConsumerConfig(durable_name="test-worker", ack_wait=30))
        self._subscription = await self.js.pull_subscribe_bind("test-worker", WORK_STREAM)

    async def _work(self, work: WorkMessage) -> None:
        self.worked.append(work)
        said = Progress(work.job_id, work.gid, work.sid, work.context.component_id, 0.5, "half")
        await self._client.publish(f"progress.{work.job_id}.{work.gid}.{work.sid}", msgspec.json.encode(said))
        result = self.behave(work)
        if result is not None:
            await self.store_files(result)
            await self.answer(result)

    async def store_files(self, result: WorkResult) -> None:
        """What storage tells of the files that a result names, as if the worker had uploaded them."""
        for output in result.outputs:
            if output.kind == "asset" and output.path not in self._stored:
                assert output.path is not None
                if (told := self.told(result, output)) is not None:
                    self._stored.add(output.path)
                    await self.storage.say(uuid5(result.sid, output.path), told)

    async def answer(self, result: WorkResult, message_id: str | None = None) -> None:
        headers = {"Nats-Msg-Id": message_id or f"{result.sid}:{result.attempt}"}
        await self.say(result.job_id, result.gid, msgspec.json.encode(result), headers)

    async def say(self, job_id: UUID, gid: UUID, body: bytes, headers: dict[str, str] | None = None) -> None:
        await self.js.publish(f"results.{job_id}.{gid}", body, headers=headers)


def prefix_of(work: WorkMessage) -> str:
    grant = jwt.decode(work.context.upload.token, options={"verify_signature": False})["grant"]
    return str(grant["prefix"])


def file_of(work: WorkMessage, name: str = "picture.png") -> Output:
    path = prefix_of(work) + name
    asset_id = work.sid.int % 10**9
    return Output(kind="asset", asset_id=asset_id, url=f"http://cdn/{path}", path=path, mime_type="image/png")


def stored(result: WorkResult, output: Output) -> AssetStored:
    """Storage's word on a file of a step."""
    assert output.path is not None
    return AssetStored(
        asset_id=output.asset_id or 0,
        user_id=ALICE,
        name=output.path.rpartition("/")[2],
        path=output.path,
        mime_type=output.mime_type or "image/png",
        size=10,
        sha256=output.sha256 or "ab" * 32,
        job_id=result.job_id,
        gid=result.gid,
        sid=result.sid,
        url=output.url,
    )


def finished(work: WorkMessage) -> WorkResult:
    """What a good worker answers: a text from `caption`, a picture from the others."""
    text = Output(kind="text", text=f"about {work.payload.get('prompt')}")
    outputs = [text] if work.service_required == "caption" else [file_of(work)]
    return WorkResult(work.job_id, work.gid, work.sid, work.attempt, "completed", outputs)


def failed(work: WorkMessage, *, retryable: bool) -> WorkResult:
    error = StepError("BROKEN", "it broke", retryable)
    return WorkResult(work.job_id, work.gid, work.sid, work.attempt, "failed", error=error)


@contextlib.asynccontextmanager
async def worker(nats_url: str, storage_database: str) -> AsyncIterator[Worker]:
    """A worker, and the storage service that it would upload to: as far as that tells of files."""
    async with (
        publisher("storage", STORAGE_EVENTS, storage_database, nats_url) as storage,
        connected(nats_url, "test-worker") as client,
    ):
        played = Worker(client.jetstream(), client, storage)
        task = asyncio.create_task(played.run())
        try:
            yield played
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


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
        public_url="https://api.test",
        **settings,
    )
    async with (
        running(SERVICE, chosen, build) as service,
        serving(service.app) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Api(url, issuer, service, session)


async def created(collections: Publisher, written: dict[str, Any], user: UUID = ALICE, title: str = "Foxes") -> UUID:
    """A collection that the collections service says was created."""
    collection = uuid4()
    said = CollectionCreated(collection, PROJECT, user, title, "", written)
    ANSWERED[collection] = await collections.say(collection, said)
    return collection
