"""How the stand-in runs a graph: its frames, its cache, its files."""

import asyncio
import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from tests.support.comfy.nodes import NODES, Made


class Comfy(Protocol):
    """What a run has of its server."""

    gate: asyncio.Event
    node_seconds: float
    inputs: dict[str, bytes]
    files: dict[tuple[str, str, str], bytes]
    cache: dict[str, Any]
    shown: dict[str, Any]
    notes: dict[str, Any]
    file_bytes: bytes | None

    async def send(self, client: str, kind: str, data: dict[str, Any]) -> None: ...


class Interrupted(Exception):  # noqa: N818 - a state
    pass


@dataclass
class Job:
    number: int
    id: str
    graph: dict[str, Any]
    client: str
    outputs: list[str]
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    created: int = field(default_factory=lambda: round(time.time() * 1000))

    @property
    def entry(self) -> list[Any]:
        return [self.number, self.id, self.graph, {"client_id": self.client, "create_time": self.created}, self.outputs]


class Run:
    """One graph's execution, with its frames."""

    def __init__(self, comfy: Comfy, job: Job) -> None:
        self._comfy, self._job = comfy, job
        self._values: dict[str, Any] = {}
        self._executed: list[str] = []
        self._messages: list[Any] = []
        self.last: tuple[str, dict[str, Any]] = ("", {})

    async def run(self) -> tuple[dict[str, Any], dict[str, Any]]:
        job, outputs_by_key, outputs = self._job, self._comfy.shown, {}
        await self._say("execution_start", {})
        needed = list(dict.fromkeys(node for end in job.outputs for node in self._order(end)))
        cached = [node for node in needed if self._key(node) in self._comfy.cache]
        await self._say("execution_cached", {"nodes": cached})
        try:
            for node_id in needed:
                await self._pass(node_id)
                key = self._key(node_id)
                if node_id not in cached:
                    await self._send("executing", {"node": node_id, "display_node": node_id})
                    await asyncio.sleep(self._comfy.node_seconds)
                    self._values[node_id] = self._comfy.cache[key] = self._made(node_id)
                    self._executed.append(node_id)
                self._values[node_id] = self._comfy.cache[key]
                if isinstance(self._values[node_id], Made):
                    outputs[node_id] = outputs_by_key[key] if key in outputs_by_key else self._shown(node_id)
                    outputs_by_key[key] = outputs[node_id]
                    await self._send("executed", {"node": node_id, "output": outputs[node_id]})
            self._end("execution_success", {})
        except Interrupted as at:
            self._end("execution_interrupted", {"node_id": str(at), "executed": self._executed})
        except Exception as error:  # noqa: BLE001 - a node may fail in any way
            self._end(
                "execution_error",
                {
                    "node_id": node_id,
                    "node_type": job.graph[node_id]["class_type"],
                    "exception_message": str(error),
                    "exception_type": type(error).__name__,
                    "traceback": ["(lines of a Python traceback)"],
                },
            )
        succeeded = self.last[0] == "execution_success"
        status = "success" if succeeded else "error"
        messages = [*self._messages, list(self.last)]
        return outputs if succeeded else {}, {"status_str": status, "completed": succeeded, "messages": messages}

    async def _pass(self, node_id: str) -> None:
        """Waits at the gate. Raises Interrupted."""
        gate, stop = asyncio.create_task(self._comfy.gate.wait()), asyncio.create_task(self._job.interrupted.wait())
        try:
            await asyncio.wait((gate, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gate.cancel()
            stop.cancel()
        if self._job.interrupted.is_set():
            raise Interrupted(node_id)

    def _order(self, node_id: str) -> list[str]:
        links = [v[0] for v in self._job.graph[node_id]["inputs"].values() if isinstance(v, list)]
        return [*(inner for link in links for inner in self._order(link)), node_id]

    def _key(self, node_id: str) -> str:
        node = self._job.graph[node_id]
        inputs = {k: [self._key(v[0]), v[1]] if isinstance(v, list) else v for k, v in node["inputs"].items()}
        return hashlib.sha256(json.dumps([node["class_type"], inputs], sort_keys=True).encode()).hexdigest()

    def _made(self, node_id: str) -> Any:
        node = self._job.graph[node_id]
        inputs = {k: self._values[v[0]] if isinstance(v, list) else v for k, v in node["inputs"].items()}
        if node["class_type"] == "LoadImage":
            return [Image.open(io.BytesIO(self._comfy.inputs[inputs["image"]])).convert("RGB")]
        return NODES[node["class_type"]](inputs)

    def _shown(self, node_id: str) -> dict[str, Any]:
        result: Made = self._values[node_id]
        if result.text is not None:
            return {result.name: [result.text], **self._comfy.notes}
        prefix = str(self._job.graph[node_id]["inputs"].get("filename_prefix", "ComfyUI_temp"))
        subfolder, _, stem = prefix.rpartition("/")
        files = []
        for ending, content in result.files:
            number = 1
            while (result.folder, subfolder, name := f"{stem}_{number:05}_{ending}") in self._comfy.files:
                number += 1
            self._comfy.files[result.folder, subfolder, name] = self._comfy.file_bytes or content
            files.append({"filename": name, "subfolder": subfolder, "type": result.folder})
        return {result.name: files, **self._comfy.notes}

    def _end(self, kind: str, data: dict[str, Any]) -> None:
        self.last = (kind, {"prompt_id": self._job.id, **data, "timestamp": round(time.time() * 1000)})

    async def _say(self, kind: str, data: Mapping[str, Any]) -> None:
        event_data = {**data, "prompt_id": self._job.id, "timestamp": round(time.time() * 1000)}
        self._messages.append([kind, event_data])
        await self._comfy.send(self._job.client, kind, event_data)

    async def _send(self, kind: str, data: Mapping[str, Any]) -> None:
        await self._comfy.send(self._job.client, kind, {**data, "prompt_id": self._job.id})
