"""A stand-in for ComfyUI over HTTP and WebSocket that follows its recorded answers, and fails when a test makes it.

`tests/integration/workers/comfy/test_recorded.py` compares it with the recordings.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import WSCloseCode, web

from tests.support.comfy.execution import Job, Run
from tests.support.comfy.validation import Validation, refused

FIXTURES = Path(__file__).parents[2] / "fixtures" / "comfyui"
JSON = "application/json; charset=utf-8"


class StandIn:
    """What a test may set: the attributes below, and `restart` and `drop_sockets`."""

    is_real = False

    def __init__(self) -> None:
        self.info: dict[str, Any] = json.loads((FIXTURES / "object_info.json").read_text())
        self.models: dict[str, list[str]] | None = {"checkpoints": [], "vae": []}
        """None: as in releases that list none."""
        self.gate = asyncio.Event()
        """Nodes wait for it."""
        self.gate.set()
        self.node_seconds = 0.0
        """What each node takes."""
        self.sockets_are_silent = False
        """Sockets connect, and hear nothing."""
        self.lose_next_history = False
        """The next run that ends leaves no entry."""
        self.answers = asyncio.Event()
        """Graphs wait for it between their coming and the queue."""
        self.answers.set()
        self.lose_answers = 0
        """Answers to `/prompt` that are lost, after the graph was queued."""
        self.knows_jobs = True
        """`/api/jobs`, and `/interrupt` of one prompt, which older releases do not have."""
        self.notes: dict[str, Any] = {}
        """Further outputs of each node that ends a graph, such as NaN."""
        self.file_bytes: bytes | None = None
        """The content of every file that is made."""
        self.submissions: list[str] = []
        """Prompt ids, in the order of their coming."""
        self.requests: list[str] = []
        self.inputs: dict[str, bytes] = {}
        self.files: dict[tuple[str, str, str], bytes] = {}
        self._forget()

    def _forget(self) -> None:
        self.pending: list[Job] = []
        self.running: Job | None = None
        self.history: dict[str, Any] = {}
        self.cache: dict[str, Any] = {}
        self.shown: dict[str, Any] = {}
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._work = asyncio.Event()
        self._number = 0

    # What happens to it

    async def restart(self) -> None:
        """As a process that was killed and started again: files stay, queue, history and sockets are gone."""
        await self._stop()
        await self.drop_sockets()
        self._forget()
        await self._start()

    async def drop_sockets(self) -> None:
        for socket in list(self._sockets.values()):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    # Its life

    async def open(self, port: int = 0) -> "StandIn":
        self.url = f"http://127.0.0.1:{port}"
        await self._start()
        return self

    async def _start(self) -> None:
        application = web.Application(client_max_size=2**27)
        application.middlewares.append(self._note)
        application.add_routes(
            [
                web.get("/ws", self._ws),
                web.post("/prompt", self._prompt),
                web.get("/queue", self._queue),
                web.post("/queue", self._delete),
                web.post("/interrupt", self._interrupt),
                web.get("/history/{id}", self._history),
                web.get("/api/jobs/{id}", self._job),
                web.get("/object_info", self._object_info),
                web.get("/object_info/{name}", self._object_info),
                web.get("/models", self._folders),
                web.get("/models/{folder}", self._folder),
                web.post("/upload/image", self._upload),
                web.get("/view", self._view),
                web.get("/system_stats", self._stats),
            ]
        )
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        port = int(self.url.rsplit(":", 1)[1])
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._executor = asyncio.create_task(self._execute())

    async def _stop(self) -> None:
        self._executor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._executor
        await self._runner.cleanup()

    async def close(self) -> None:
        await self.drop_sockets()
        await self._stop()

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        response: web.StreamResponse = await handler(request)
        return response

    # HTTP

    async def _prompt(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if "prompt" not in body:
            return _json(refused("no_prompt", "No prompt provided", "No prompt provided"), 400)
        validation = Validation(body["prompt"], self.info, self.inputs)
        if validation.refusal is not None:
            return _json(validation.refusal, 400)
        prompt_id = body.get("prompt_id") or str(uuid4())
        job = Job(self._number, prompt_id, body["prompt"], body.get("client_id", ""), validation.outputs)
        self._number += 1
        self.submissions.append(prompt_id)
        await self.answers.wait()
        self.pending.append(job)
        self._work.set()
        await self._status()
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        answer = {"prompt_id": prompt_id, "number": job.number, "node_errors": validation.node_errors}
        return _json(answer)

    async def _queue(self, _: web.Request) -> web.Response:
        running = [self.running.entry] if self.running else []
        return _json({"queue_running": running, "queue_pending": [job.entry for job in self.pending]})

    async def _delete(self, request: web.Request) -> web.Response:
        deleted = (await request.json()).get("delete", [])
        self.pending = [job for job in self.pending if job.id not in deleted]
        await self._status()
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        prompt_id = (await request.json()).get("prompt_id")
        if self.running is not None and (self.running.id == prompt_id or not self.knows_jobs):
            self.running.interrupted.set()
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        return _json({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def _job(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        if not self.knows_jobs:
            return web.Response(status=404, text="404: Not Found")
        if self.running is not None and self.running.id == prompt_id:
            status = "in_progress"
        elif any(job.id == prompt_id for job in self.pending):
            status = "pending"
        elif prompt_id in self.history:
            status = "completed" if self.history[prompt_id]["status"]["completed"] else "failed"
        else:
            return _json({"error": "Job not found"}, 404)
        return _json({"id": prompt_id, "status": status})

    async def _object_info(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        return _json(self.info if name is None else {name: self.info[name]} if name in self.info else {})

    async def _folders(self, _: web.Request) -> web.Response:
        return web.Response(status=404) if self.models is None else _json(list(self.models))

    async def _folder(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        models = self.models or {}
        return _json(models[folder]) if folder in models else web.Response(status=404)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image = form["image"]
        assert isinstance(image, web.FileField)
        content, subfolder = image.file.read(), str(form.get("subfolder", ""))
        stem, number = image.filename, 0
        while True:
            name = stem if number == 0 else f"{stem} ({number})"
            path = f"{subfolder}/{name}" if subfolder else name
            if self.inputs.get(path, content) == content:
                break
            number += 1
        self.inputs[path] = content
        return _json({"name": name, "subfolder": subfolder, "type": "input"})

    async def _view(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        content = self.files.get((query.get("type", "output"), query.get("subfolder", ""), query["filename"]))
        if content is None:
            return web.Response(status=404)
        return web.Response(body=content, content_type="application/octet-stream")

    async def _stats(self, _: web.Request) -> web.Response:
        return _json({"system": {"comfyui_version": "0.8.0"}, "devices": []})

    # The socket

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query.get("clientId", uuid4().hex)
        self._sockets[client] = socket
        await self.send(client, "status", {"status": self._remaining(), "sid": client})
        async for _ in socket:
            pass
        if self._sockets.get(client) is socket:
            del self._sockets[client]
        return socket

    async def send(self, client: str, kind: str, data: dict[str, Any]) -> None:
        socket = self._sockets.get(client)
        if socket is not None and not self.sockets_are_silent:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(json.dumps({"type": kind, "data": data}))

    def _remaining(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": len(self.pending) + (self.running is not None)}}

    async def _status(self) -> None:
        for client in list(self._sockets):
            await self.send(client, "status", {"status": self._remaining()})

    # Running

    async def _execute(self) -> None:
        while True:
            while not self.pending:
                self._work.clear()
                await self._work.wait()
            job = self.running = self.pending.pop(0)
            run = Run(self, job)
            try:
                outputs, status = await run.run()
            finally:
                self.running = None
            if not self.lose_next_history:
                self.history[job.id] = {"prompt": job.entry, "outputs": outputs, "status": status, "meta": {}}
            self.lose_next_history = False
            await self.send(job.client, *run.last)
            await self._status()
            await self.send(job.client, "executing", {"node": None, "prompt_id": job.id})


def _json(body: Any, status: int = 200) -> web.Response:
    """With NaN, as Python writes it."""
    return web.Response(text=json.dumps(body), status=status, content_type="application/json", charset="utf-8")


@contextlib.asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    comfy = await StandIn().open()
    try:
        yield comfy
    finally:
        await comfy.close()
