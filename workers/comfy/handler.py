"""The handler of comfy_workflow steps: chooses a server, runs the graph there, and stores its outputs."""

import asyncio
import contextlib
import hashlib
import re
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid5

import msgspec
import structlog
from yarl import URL

from workers.comfy.answers import Outcome, State, outcome_of
from workers.comfy.outputs import store_outputs
from workers.comfy.progress import reported
from workers.comfy.rewriting import Graph, Rewritten, Upload
from workers.comfy.runs import GraphRun
from workers.comfy.server import FileLost, Unavailable
from workers.comfy.servers import Candidate, Demand, Member, Servers, candidate_of
from workers.comfy.settings import ComfySettings
from workers.comfy.socket import Watched
from workers.kit import Output, Step, permanent, transient

FOLDER = "emprops"
"""Of the files on the servers: inputs by their content, outputs by their run."""
REMEMBERED_ATTEMPTS = 3
"""Earlier attempts whose runs are looked for."""
REUSABLE_STATES: frozenset[State] = frozenset({"queued", "running", "completed"})
FOLLOWED_STATES: frozenset[State] = REUSABLE_STATES | {"failed", "interrupted"}


class Node(msgspec.Struct, frozen=True):
    class_type: str
    inputs: dict[str, Any] = {}
    meta: Any = msgspec.field(name="_meta", default=None)

    def as_document(self) -> dict[str, Any]:
        """In ComfyUI's form."""
        node = {"class_type": self.class_type, "inputs": self.inputs}
        return node if self.meta is None else {**node, "_meta": self.meta}


class Model(msgspec.Struct, frozen=True):
    kind: str
    """Its folder on a server: `checkpoints`."""
    name: str


log = structlog.get_logger()

SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


def prompt_id(sid: UUID, attempt: int) -> str:
    """The run of an attempt: the same when its message is delivered again, so that the run is found and followed."""
    return str(uuid5(sid, f"comfy:{attempt}"))


class ComfyHandler:
    """Call it only while `servers` run."""

    def __init__(self, servers: Servers, settings: ComfySettings) -> None:
        self._servers, self._settings = servers, settings

    async def __call__(self, step: Step) -> list[Output | str]:
        """Raises StepFault."""
        own = prompt_id(step.sid, step.work.attempt)
        demand = _demand(step, f"{FOLDER}/{own}")
        if member := await self._servers.with_run(own, FOLLOWED_STATES):
            async with self._servers.slot(member):
                return await self._own_run(step, candidate_of(member, demand), own)
        oldest = max(step.work.discarded + 1, step.work.attempt - REMEMBERED_ATTEMPTS)
        for attempt in range(step.work.attempt - 1, oldest - 1, -1):
            earlier = prompt_id(step.sid, attempt)
            if member := await self._servers.with_run(earlier, REUSABLE_STATES):
                # The run's files may be deleted by now; then the graph is run again.
                with contextlib.suppress(FileLost):
                    async with self._servers.slot(member):
                        return await self._run(step, candidate_of(member, demand), earlier)
        async with self._servers.chosen(demand, step.waiting) as candidate:
            return await self._own_run(step, candidate, own)

    async def _own_run(self, step: Step, candidate: Candidate, run_id: str) -> list[Output | str]:
        try:
            return await self._run(step, candidate, run_id)
        except FileLost as lost:
            raise transient("COMFY_FILE_LOST", f"ComfyUI has no file {lost} any more") from lost

    async def _run(self, step: Step, candidate: Candidate, run_id: str) -> list[Output | str]:
        member, rewritten = candidate
        outcome = await self._outcome(step, member, rewritten, run_id)
        count = len(outcome.files) + len(outcome.texts)
        if not count:
            raise permanent("COMFY_NO_OUTPUT", "The graph has run and made neither a file nor a text")
        if count > self._settings.comfy_max_outputs:
            limit = self._settings.comfy_max_outputs
            raise permanent("OUTPUT_TOO_LARGE", f"The graph has made {count} outputs; at most {limit} are taken")
        return await store_outputs(step, member.server, outcome, max_bytes=self._settings.comfy_output_max_bytes)

    async def _outcome(self, step: Step, member: Member, rewritten: Rewritten, run_id: str) -> Outcome:
        inputs = _Inputs(step, member, rewritten)
        async with reported(step, rewritten.graph) as report:
            watched = Watched(len(rewritten.graph), report)
            run = GraphRun(
                member.server, member.socket, run_id, watched, away_seconds=self._settings.comfy_away_seconds
            )
            log.info("comfy_run", sid=str(step.sid), prompt_id=run_id, server=member.server.name)
            try:
                outputs = await run.outputs(inputs.prepared, step.waiting)
            except asyncio.CancelledError:
                # A step that is handed back goes on at another worker, which follows the run.
                if step.stopped != "shutdown":
                    await run.cancel()
                raise
        return outcome_of(outputs, rewritten.displays)


def _demand(step: Step, file_prefix: str) -> Demand:
    """Raises StepFault VALIDATION_FAILED."""
    graph = step.field("graph", dict[str, Node])
    if not graph:
        raise permanent("VALIDATION_FAILED", "/graph: has no nodes")
    models = step.field("models", list[Model]) if "models" in step.payload else []
    nodes: Graph = {name: node.as_document() for name, node in graph.items()}
    return Demand(nodes, [(model.kind, model.name) for model in models], file_prefix)


class _Inputs:
    """The files that a graph loads. Downloaded once, they go to the server before each submission of the graph."""

    def __init__(self, step: Step, member: Member, rewritten: Rewritten) -> None:
        self._step, self._member, self._rewritten = step, member, rewritten
        self._contents: dict[str, bytes] = {}

    async def prepared(self) -> Graph:
        """The graph, after its files were uploaded: a server that was replaced has lost those of the last submission.

        Raises StepFault.
        """
        names = {upload: await self._uploaded(upload) for upload in self._rewritten.uploads}
        return self._rewritten.with_files(names)

    async def _uploaded(self, upload: Upload) -> str:
        if upload.url not in self._contents:
            pointer = f"graph/{upload.node}/inputs/{upload.input}"
            self._contents[upload.url] = await self._step.fetch(upload.url, pointer)
        content = self._contents[upload.url]
        suffix = PurePosixPath(URL(upload.url).path).suffix.lower()
        name = hashlib.sha256(content).hexdigest()[:32] + (suffix if SUFFIX.fullmatch(suffix) else "")
        return await self._step.retry(lambda: self._upload(name, content), "uploading an input")

    async def _upload(self, name: str, content: bytes) -> str:
        try:
            return await self._member.server.upload(name, FOLDER, content)
        except Unavailable as error:
            raise transient("COMFY_UNAVAILABLE", f"An input can't be uploaded: {error}"[:500]) from error
