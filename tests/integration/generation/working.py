"""A worker of all services, played by the test, and what it answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid5

import jwt
import msgspec
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from services.generation.workers.broker import ensure_work_streams
from shared.contracts.generation import Output, StepError
from shared.contracts.storage import EVENTS as STORAGE_EVENTS
from shared.contracts.storage import AssetStored
from shared.contracts.work import (
    WORK_STREAM,
    Announcement,
    AttemptInProgress,
    OfferedService,
    Progress,
    WorkMessage,
    WorkResult,
)
from shared.messaging.connection import connected
from shared.stopping import stop
from tests.support.apps.client import ALICE
from tests.support.publishing import Publisher, publisher

SERVICES = ("sketch", "frame", "caption")
STARTED = "2026-11-27T00:00:00+00:00"

Behaviour = Callable[[WorkMessage], WorkResult | None]


class Worker:
    """A worker of all services. `behave` makes the result of a message of work; None: none, and no announcement."""

    def __init__(self, js: JetStreamContext, client: Client, storage: Publisher) -> None:
        self.js, self._client, self.storage = js, client, storage
        self.behave: Behaviour = finished
        self.worked: list[WorkMessage] = []
        self.subjects: list[str] = []
        self.told: Callable[[WorkResult, Output], AssetStored | None] = stored
        """What storage tells of a file; None: nothing."""
        self._stored: set[str] = set()
        self.may_work = asyncio.Event()
        self.may_work.set()
        self._waits = asyncio.Event()
        """Set while it takes no work."""
        self.working: list[AttemptInProgress] = []
        self.stuck: list[tuple[UUID, int]] = []
        """Attempts that it claims to do, besides."""
        self.lanes = 8
        """How many steps it claims to do at once."""
        self.is_silent = False
        """Whether it announces itself no more."""

    async def run(self) -> None:
        await self.recover()
        while True:
            self._waits.set()
            await self.may_work.wait()
            self._waits.clear()
            try:
                for message in await self._subscription.fetch(1, 0.5):
                    self.subjects.append(message.subject)
                    await self._work(msgspec.json.decode(message.data, type=WorkMessage))
                    await message.ack()
            except nats.errors.TimeoutError:
                continue
            except nats.errors.Error:
                await self.recover()

    async def pause(self) -> None:
        """It takes no work until `may_work` is set again. Returns when what it had in hand is done."""
        self.may_work.clear()
        await self._waits.wait()

    async def announce_all(self) -> None:
        """Announces itself more often than real workers do, which tests would wait for."""
        while True:
            with contextlib.suppress(nats.errors.Error):
                await self.announce()
            await asyncio.sleep(0.5)

    async def announce(self) -> None:
        if not self.is_silent:
            services = [OfferedService("direct_job", service, self.lanes) for service in SERVICES]
            stuck = [AttemptInProgress(sid, attempt, STARTED) for sid, attempt in self.stuck]
            announcement = Announcement("test-worker", "test", "", services, [*self.working, *stuck], STARTED)
            await self._client.publish(announcement.subject, msgspec.json.encode(announcement))

    async def recover(self) -> None:
        """Subscribes, again when the broker has lost its streams."""
        await ensure_work_streams(self._client)
        await self.js.add_consumer(WORK_STREAM, ConsumerConfig(durable_name="test-worker", ack_wait=30))
        self._subscription = await self.js.pull_subscribe_bind("test-worker", WORK_STREAM)

    async def _work(self, work: WorkMessage) -> None:
        self.worked.append(work)
        self.working = [AttemptInProgress(work.sid, work.attempt, STARTED)]
        await self.announce()
        progress = Progress(work.job_id, work.gid, work.sid, work.context.component_id, 0.5, "half")
        await self._client.publish(f"progress.{work.job_id}.{work.gid}.{work.sid}", msgspec.json.encode(progress))
        result = self.behave(work)
        if result is not None:
            await self.store_files(result)
            await self.answer(result)
        self.working = []
        await self.announce()

    async def store_files(self, result: WorkResult) -> None:
        """Storage's events of the files that a result names, as if the worker had uploaded them."""
        for output in result.outputs:
            if output.kind == "asset" and output.path not in self._stored:
                assert output.path is not None
                if (event := self.told(result, output)) is not None:
                    self._stored.add(output.path)
                    await self.storage.publish(uuid5(result.sid, output.path), event)

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
    """Storage's event of a step's file."""
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
    """A worker, and in place of the storage service its events of files."""
    async with (
        publisher("storage", STORAGE_EVENTS, storage_database, nats_url) as storage,
        connected(nats_url, "test-worker") as client,
    ):
        played = Worker(client.jetstream(), client, storage)
        tasks = [asyncio.create_task(played.run()), asyncio.create_task(played.announce_all())]
        try:
            yield played
        finally:
            await stop(*tasks)  # nats-py's fetch may lose a cancellation
