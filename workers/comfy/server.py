"""One ComfyUI server over HTTP: submit, look up, fetch, cancel.

Every call is bounded in time. It raises `Unavailable` for a server that is away, and `StepFault` for a graph that it
rejects.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from workers.comfy.answers import (
    QUEUED,
    RUNNING,
    UNKNOWN,
    File,
    Run,
    history_run,
    job_state,
    queue_state,
    read_json,
    refusal,
)
from workers.kit.faults import permanent, transient

CALL_SECONDS = 15.0
IDLE_SECONDS = 60.0
"""Longest wait for the next bytes of a file."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of a JSON answer; `/object_info` of a server with many nodes has several MiB."""


class Unavailable(Exception):  # noqa: N818 - a condition
    """The server can't be reached, or its answer is not that of a ComfyUI server."""


class FileLost(Exception):  # noqa: N818 - a condition
    """The server no longer has an output; the message is its name."""


class ComfyServer:
    def __init__(self, url: str, http: aiohttp.ClientSession, client_id: str) -> None:
        """`client_id` is that of the socket: a server sends the events of a run only there."""
        self.url, self._http, self.client_id = URL(url.rstrip("/")), http, client_id
        self.name = str(self.url.with_user(None))
        """Its address for logs and messages, which reach users: without a password."""

    async def submit(self, graph: Mapping[str, Any], prompt_id: str) -> None:
        """Queues a graph as the run `prompt_id`. Raises StepFault for a graph that is refused, or Unavailable.

        An id that was submitted before runs twice: look it up first.
        """
        body = {"prompt": graph, "client_id": self.client_id, "prompt_id": prompt_id}
        status, answer = await self._json("POST", "/prompt", json=body)
        if fault := refusal(status, answer):
            if status == 200:
                await self.cancel(prompt_id)  # its valid branches would run, and their outputs would not be read
            raise fault
        if not isinstance(answer, Mapping) or "prompt_id" not in answer:
            raise Unavailable(f"{self.name} does not answer like ComfyUI")

    async def look_up(self, prompt_id: str) -> Run:
        """The state of a run, from its history, else from the list of jobs, else from the queue."""
        _, history = await self._json("GET", f"/history/{prompt_id}")
        if run := history_run(prompt_id, history):
            return run
        status, job = await self._json("GET", f"/api/jobs/{prompt_id}")
        state = job_state(status, job)
        if state is None:
            _, queue = await self._json("GET", "/queue")
            state = queue_state(prompt_id, queue)
        if state in {"completed", "failed", "interrupted"}:  # it has ended since we asked for its history
            _, history = await self._json("GET", f"/history/{prompt_id}")
            return history_run(prompt_id, history) or UNKNOWN
        return {"queued": QUEUED, "running": RUNNING}.get(state, UNKNOWN)

    async def cancel(self, prompt_id: str) -> None:
        """Ends this run only, queued or running; one that has ended, and any other, is left alone. Raises Unavailable.

        The queue comes first: what is not in it any more runs, or has ended. `/interrupt` of a prompt that does not run
        does nothing; older releases interrupt any running prompt, so it is only sent while this one runs.
        """
        await self._call("POST", "/queue", json={"delete": [prompt_id]})
        _, queue = await self._json("GET", "/queue")
        if queue_state(prompt_id, queue) == "running":
            await self._call("POST", "/interrupt", json={"prompt_id": prompt_id})

    async def object_info(self) -> Mapping[str, Any]:
        """The node classes that the server has, with their inputs."""
        _, answer = await self._json("GET", "/object_info")
        if not isinstance(answer, Mapping):
            raise Unavailable(f"{self.name} does not answer like ComfyUI")
        return answer

    async def waiting(self) -> int:
        """The number of runs that are running or queued, of all clients."""
        _, queue = await self._json("GET", "/queue")
        if not isinstance(queue, Mapping):
            raise Unavailable(f"{self.name} does not answer like ComfyUI")
        return sum(len(queue.get(name, [])) for name in ("queue_running", "queue_pending"))

    async def models(self) -> Mapping[str, frozenset[str]] | None:
        """The model files by folder, such as `checkpoints`; None from older releases. Raises Unavailable."""
        status, folders = await self._json("GET", "/models")
        if status != 200 or not isinstance(folders, list):
            return None
        files_of = {}
        for folder in folders:
            status, names = await self._json("GET", f"/models/{quote(str(folder), safe='')}")
            if status == 200 and isinstance(names, list):
                files_of[str(folder)] = frozenset(map(str, names))
        return files_of

    async def upload(self, name: str, subfolder: str, content: bytes) -> str:
        """Stores an input file; returns its name for a loader. Raises StepFault, Unavailable.

        The same content under the same name is stored once; another content gets another name from the server.
        """
        form = aiohttp.FormData()
        form.add_field("image", content, filename=name, content_type="application/octet-stream")
        form.add_field("subfolder", subfolder)
        status, answer = await self._json("POST", "/upload/image", data=form, seconds=IDLE_SECONDS * 5)
        if status == 413:
            raise permanent("COMFY_REFUSED", f"ComfyUI did not take {name}: {len(content)} bytes are too many for it")
        if status != 200 or not isinstance(answer, Mapping) or not isinstance(answer.get("name"), str):
            raise transient("COMFY_UPLOAD_FAILED", f"ComfyUI did not take {name}: it answered {status}")
        folder = answer.get("subfolder") or ""
        return f"{folder}/{answer['name']}" if folder else answer["name"]

    async def view(self, file: File) -> AsyncIterator[bytes]:
        """The bytes of an output. Raises FileLost, Unavailable."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CALL_SECONDS, sock_read=IDLE_SECONDS)
        try:
            async with self._http.get(self._url("/view"), params=file._asdict(), timeout=timeout) as response:
                if response.status >= 500:
                    raise Unavailable(f"{self.name}: /view answered {response.status}")
                if response.status != 200:
                    raise FileLost(file.filename)
                async for chunk in response.content.iter_chunked(256 * 1024):
                    yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{self.name}: {error or type(error).__name__}") from error

    async def _json(self, method: str, path: str, *, seconds: float = CALL_SECONDS, **options: Any) -> tuple[int, Any]:
        status, body = await self._call(method, path, seconds=seconds, **options)
        try:
            return status, await asyncio.to_thread(read_json, body) if len(body) > 1_000_000 else read_json(body)
        except ValueError:
            return status, None

    async def _call(
        self, method: str, path: str, *, seconds: float = CALL_SECONDS, **options: Any
    ) -> tuple[int, bytes]:
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.request(method, self._url(path), allow_redirects=False, **options) as response,
            ):
                return response.status, await _bounded(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{self.name}: {error or type(error).__name__}") from error

    def _url(self, path: str) -> URL:
        return self.url.with_path(self.url.path.rstrip("/") + path)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise Unavailable(f"{response.url.path}: the answer has more than {MAX_ANSWER} bytes")
    return bytes(body)
