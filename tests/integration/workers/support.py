"""A storage service to upload to, worker processes to mistreat, and the engine's side of the worker protocol."""

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import aiohttp
import msgspec
import nats.errors
from aiohttp import web
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from services.generation.workers.broker import ensure_work_streams
from shared.contracts.work import (
    RESULTS_STREAM,
    WORK_STREAM,
    Progress,
    UploadGrant,
    WorkContext,
    WorkMessage,
    WorkResult,
)
from tests.support import patience
from tests.support.serving import free_port
from tests.support.subscribing import listen

ROOT = Path(__file__).parents[3]
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ3b3JrZXIifQ.c2lnbmF0dXJl"
HASH = "5f3a" * 16


async def eventually(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    """As patience.eventually, through outages of the broker and of storage."""
    return await patience.eventually(condition, what, passing=(nats.errors.Error, aiohttp.ClientError, OSError))


@dataclass
class Storage:
    """Takes uploads and serves them as the storage service does; `gate` can keep uploads waiting."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: list[dict[str, str]] = field(default_factory=list)
    """Headers of every upload that came, also of those that were refused."""
    downloads: list[dict[str, str]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    """Statuses to answer the next uploads with."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while an upload waits at the gate."""

    def asset(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        number = list(self.files).index(name) + 1
        digest = hashlib.sha256(data).hexdigest()
        return {
            "id": number,
            "name": name,
            "url": f"http://edge.invalid/assets/{number}/content",
            "path": f"generations/test/{name}",
            "mime_type": "image/png",
            "size": len(data),
            "sha256": digest,
        }

    async def upload(self, request: web.Request) -> web.Response:
        self.uploads.append(dict(request.headers))
        data = await request.read()
        if self.refusals:
            status = self.refusals.pop(0)
            return web.json_response({"code": "X", "detail": "told to refuse", "error": "x"}, status=status)
        self.waiting.set()
        await self.gate.wait()
        self.waiting.clear()
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert hashlib.sha256(data).hexdigest() == request.headers["X-Content-SHA256"]
        name = unquote(request.headers["X-Filename"])
        exists = name in self.files
        if exists and self.files[name] != data:
            return web.json_response({"detail": "another file"}, status=409)
        self.files[name] = data
        return web.json_response({"data": self.asset(name), "error": None}, status=200 if exists else 201)

    async def content(self, request: web.Request) -> web.Response:
        self.downloads.append(dict(request.headers))
        index = int(request.match_info["id"]) - 1
        return web.Response(body=list(self.files.values())[index], content_type="image/png")


@contextlib.asynccontextmanager
async def storage() -> AsyncIterator[Storage]:
    stand_in = Storage()
    stand_in.gate.set()
    application = web.Application(client_max_size=2**26)
    application.add_routes([web.post("/uploads", stand_in.upload), web.get("/assets/{id}/content", stand_in.content)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand_in
    finally:
        stand_in.gate.set()
        await runner.cleanup()


class WorkerProcess:
    """A worker as `python -m workers.studio` runs it; its log goes to a file."""

    def __init__(self, nats_url: str, log: Path, *, module: str = "workers.studio", **settings: str) -> None:
        self.port, self._log = free_port(), log
        environment = {
            **os.environ,
            "NATS_URL": nats_url,
            "PUBLIC_URL": "http://edge.invalid",
            "HTTP_PORT": str(self.port),
            "WORKER_ACK_WAIT": "1.5",
            **settings,
        }
        with log.open("ab") as out:
            command = [sys.executable, "-m", module]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def get(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.port}{path}") as response,
        ):
            return response.status, await response.text()

    async def ready(self) -> "WorkerProcess":
        async def is_ready() -> bool:
            assert self.process.poll() is None, self.log
            return (await self.get("/health/ready"))[0] == 200

        await eventually(is_ready, "the worker is ready")
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def stop(self) -> int:
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 15)


class Engine:
    """In place of the generation service: sends work, and receives results and progress."""

    def __init__(self, client: Client, storage_url: str, workflow_type: str = "direct_job") -> None:
        self.client, self._storage_url, self._type = client, storage_url, workflow_type
        self.progress: list[Progress] = []

    @property
    def js(self) -> JetStreamContext:
        return self.client.jetstream()

    async def open(self) -> "Engine":
        await ensure_work_streams(self.client)

        async def heard(message: Any) -> None:
            self.progress.append(msgspec.json.decode(message.data, type=Progress))

        await listen(self.client, "progress.>", heard)
        return self

    def work(self, service: str, *, seconds: float = 2 * patience.PATIENCE, **payload: Any) -> WorkMessage:
        return WorkMessage(
            job_id=uuid4(),
            gid=uuid4(),
            sid=uuid4(),
            attempt=1,
            service_required=service,
            workflow=service,
            payload=payload,
            context=WorkContext(uuid4(), uuid4(), 42, HASH, UploadGrant(f"{self._storage_url}/uploads", TOKEN)),
            deadline=(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(),
        )

    async def send(self, work: WorkMessage) -> WorkMessage:
        await self.send_raw(work.service_required, msgspec.json.encode(work))
        return work

    async def send_raw(self, service: str, body: bytes) -> None:
        await self.js.publish(f"work.{self._type}.{service}", body)

    async def results(self, sid: UUID) -> list[WorkResult]:
        """Every result in the stream, of one step."""
        results = []
        try:
            info = await self.js.stream_info(RESULTS_STREAM)
        except NotFoundError:
            return []
        for number in range(info.state.first_seq, info.state.last_seq + 1):
            message = await self.js.get_msg(RESULTS_STREAM, number)
            assert message.data is not None
            result = msgspec.json.decode(message.data, type=WorkResult)
            if result.sid == sid:
                assert message.subject.startswith(f"results.{result.job_id}.{result.gid}.{self._type}.")
                assert (message.headers or {})["Nats-Msg-Id"] == f"{sid}:{result.attempt}"
                results.append(result)
        return results

    async def result(self, sid: UUID) -> WorkResult:
        """The one result of a step's one attempt, once its message is acknowledged."""
        results = await eventually(lambda: self.results(sid), f"a result of {sid}")
        await eventually(self.nothing_waits, "the work is acknowledged")
        assert len(results) == 1
        result: WorkResult = results[0]
        return result

    async def run(self, work: WorkMessage) -> WorkResult:
        return await self.result((await self.send(work)).sid)

    async def nothing_waits(self) -> bool:
        return bool((await self.js.stream_info(WORK_STREAM)).state.messages == 0)
