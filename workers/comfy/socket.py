"""The socket of a ComfyUI server: progress of our runs, and a hint that one has ended.

A socket may break unnoticed, so nothing depends on it: a run's state is looked up over HTTP (`runs.py`).
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import aiohttp

from workers.comfy.answers import read_json
from workers.comfy.server import ComfyServer
from workers.kit import Backoff

HEARTBEAT_SECONDS = 15.0
MAX_FRAME = 64 * 1024 * 1024
ENDS = frozenset({"execution_success", "execution_error", "execution_interrupted"})


class Watched:
    """Receives the events of one run. `progress` is called with 0 to 1 and the node that runs."""

    def __init__(self, nodes: int, progress: Callable[[float, str], None]) -> None:
        self.changed = asyncio.Event()
        """Set when the run may have ended."""
        self._nodes, self._progress = max(1, nodes), progress
        self._done = set[str]()

    def on_event(self, kind: str, data: dict[str, Any]) -> None:
        if kind in ENDS or (kind == "executing" and data.get("node") is None):
            self.changed.set()
        elif kind == "execution_cached":
            self._done.update(map(str, data.get("nodes") or ()))
            self._progress(len(self._done) / self._nodes, "")
        elif kind == "executing":
            self._progress(len(self._done) / self._nodes, str(data["node"]))
            self._done.add(str(data["node"]))
        elif kind == "progress" and data.get("max"):
            before = max(0, len(self._done) - 1)
            within = min(1.0, float(data.get("value") or 0) / float(data["max"]))
            self._progress(min(1.0, (before + within) / self._nodes), str(data.get("node") or ""))


class Socket:
    """One connection for all runs on a server; it is opened again whenever it is lost."""

    def __init__(self, server: ComfyServer, http: aiohttp.ClientSession) -> None:
        self._server, self._http = server, http
        self._watched: dict[str, Watched] = {}
        self.connected = False

    @contextlib.contextmanager
    def watch(self, prompt_id: str, watched: Watched) -> Any:
        self._watched[prompt_id] = watched
        try:
            yield
        finally:
            del self._watched[prompt_id]

    async def run(self) -> None:
        """Receives events until cancelled."""
        backoff = Backoff(f"socket of {self._server.name}", first=0.5, longest=10.0)
        while True:
            try:
                await self._listen(backoff)
                error: Exception = ConnectionError("the server closed the socket")
            except (aiohttp.ClientError, OSError, TimeoutError) as failure:
                error = failure
            finally:
                self.connected = False
            for watched in self._watched.values():
                watched.changed.set()
            await backoff.pause(error)

    async def _listen(self, backoff: Backoff) -> None:
        url = self._server.url.with_path(self._server.url.path.rstrip("/") + "/ws")
        async with self._http.ws_connect(
            url.with_query(clientId=self._server.client_id), heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_FRAME
        ) as socket:
            self.connected = True
            backoff.reset()
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:  # binary ones are previews
                    self._take(frame.data)

    def _take(self, text: str) -> None:
        try:
            event = read_json(text)
            kind, data = event["type"], event["data"]
            watched = self._watched.get(str(data.get("prompt_id")))
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if watched is not None:
            watched.on_event(kind, data)
