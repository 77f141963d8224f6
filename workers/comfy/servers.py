"""Several ComfyUI servers: which of them can run a graph, and which one is to run it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import structlog
from yarl import URL

from workers.comfy.rewriting import Graph, Rewritten, is_link, stock_graph
from workers.comfy.server import ComfyServer, Unavailable
from workers.comfy.socket import Socket
from workers.kit.faults import StepFault, permanent, transient

LOOK_SECONDS = 5.0
"""Between two looks at a server's queue; also the pause of a graph that waits for a server."""
CLASSES_SECONDS = 300.0
"""How long a server's list of classes and models is believed; after an outage it is read again."""
WAIT_SECONDS = 120.0
"""How long a graph waits for a server that is away."""

FILE_INPUT = re.compile(r"(?!sampler_|scheduler_)[a-z0-9_]*_name\d?")
"""Names of inputs that take one of the files in a folder of models, such as `ckpt_name` and `clip_name1`."""

log = structlog.get_logger()


class Address(NamedTuple):
    url: str
    slots: int
    """Runs that we give it at a time."""


def parse_urls(urls: str) -> list[Address]:
    """`http://a:8188,http://b:8188#2`: the part behind # is the number of runs at a time, 1 without it.

    Raises ValueError with what is wrong.
    """
    addresses = []
    for text in filter(None, (part.strip() for part in urls.split(","))):
        url = URL(text)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"COMFY_URLS has http and https addresses with commas between, not {text!r}")
        if url.fragment and not (url.fragment.isdecimal() and 1 <= int(url.fragment) <= 64):
            raise ValueError(f"COMFY_URLS: behind # is the number of runs at a time, 1 to 64, not {url.fragment!r}")
        addresses.append(Address(str(url.with_fragment(None)), int(url.fragment or 1)))
    if not addresses:
        raise ValueError("COMFY_URLS has at least one address, such as http://127.0.0.1:8188")
    return addresses


class Member:
    """One server of the pool, with what is known of it."""

    def __init__(self, server: ComfyServer, socket: Socket, slots: int) -> None:
        self.server, self.socket, self.slots = server, socket, slots
        self.running = 0
        """Our runs on it."""
        self.waiting = 0
        """All runs on it, at the last look."""
        self.info: Mapping[str, Any] = {}
        self.trouble: str | None = "was not asked yet"
        self._info_until = 0.0

    @property
    def load(self) -> float:
        return max(self.running, self.waiting) / self.slots

    async def look(self) -> None:
        """Reads the queue's length, and the classes when they are due. Sets `trouble` where the server is away."""
        now = asyncio.get_running_loop().time()
        try:
            self.waiting = await self.server.waiting()
            if self.trouble is not None or now >= self._info_until:
                self.info = await self.server.object_info()
                self._info_until = now + CLASSES_SECONDS
        except Unavailable as error:
            if self.trouble is None:
                log.warning("comfy_server_unavailable", server=str(self.server.url), error=str(error))
            self.trouble = str(error)
        else:
            if self.trouble is not None:
                log.info("comfy_server_available", server=str(self.server.url), classes=len(self.info))
            self.trouble = None


class Candidate(NamedTuple):
    member: Member
    rewritten: Rewritten


class Servers:
    def __init__(self, addresses: Sequence[Address], http: aiohttp.ClientSession, client_id: str) -> None:
        self.members = []
        for address in addresses:
            server = ComfyServer(address.url, http, client_id)
            self.members.append(Member(server, Socket(server, http), address.slots))
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Looks at all servers and keeps their sockets, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for member in self.members:
                tasks.create_task(member.socket.run())
                tasks.create_task(self._watch(member))

    async def _watch(self, member: Member) -> None:
        while True:
            await member.look()
            self._changed.set()
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def slots(self) -> int:
        return sum(member.slots for member in self.members)

    @contextlib.asynccontextmanager
    async def chosen(self, graph: Graph, file_prefix: str) -> AsyncIterator[Candidate]:
        """The least busy server that can run the graph, with the graph rewritten for it; a slot of it is taken.

        Waits while all that can are at work, or away for up to `WAIT_SECONDS`. Raises StepFault: COMFY_UNSUITABLE where
        no server has the graph's nodes and models, COMFY_UNAVAILABLE where none answers.
        """
        candidate = await self._choose(graph, file_prefix)
        candidate.member.running += 1
        try:
            yield candidate
        finally:
            candidate.member.running -= 1
            self._changed.set()

    async def _choose(self, graph: Graph, file_prefix: str) -> Candidate:
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_SECONDS
        while True:
            self._changed.clear()
            healthy = [member for member in self.members if member.trouble is None]
            candidates = [Candidate(member, stock_graph(graph, member.info, file_prefix)) for member in healthy]
            able = [candidate for candidate in candidates if not unsuitable(candidate)]
            if free := [candidate for candidate in able if candidate.member.running < candidate.member.slots]:
                return min(free, key=lambda candidate: candidate.member.load)
            if able:
                until = loop.time() + WAIT_SECONDS
            elif len(healthy) == len(self.members):
                raise _unsuitable(candidates)
            elif loop.time() >= until:
                raise _unsuitable(candidates) if candidates else _unavailable(self.members)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()


def unsuitable(candidate: Candidate) -> list[str]:
    """What of the graph the server lacks: classes of nodes, and files that its loaders do not list."""
    lacks = [f"node class {name}" for name in sorted(candidate.rewritten.missing)]
    for node in candidate.rewritten.graph.values():
        for name, value in node["inputs"].items():
            if isinstance(value, str) and not is_link(value) and (files := _files(candidate.member.info, node, name)):
                lacks.extend([f"model {value}"] if value not in files else [])
    return lacks


def _files(info: Mapping[str, Any], node: Mapping[str, Any], name: str) -> list[Any]:
    """The files that an input of a loader may name; empty for an input of another kind."""
    if not FILE_INPUT.fullmatch(name):
        return []
    described = info.get(node["class_type"], {}).get("input", {})
    for group in ("required", "optional"):
        specification = described.get(group, {}).get(name)
        if isinstance(specification, list) and specification:
            if isinstance(specification[0], list):
                return specification[0] or [""]
            if len(specification) > 1 and isinstance(specification[1], Mapping):
                return specification[1].get("options") or ([""] if specification[0] == "COMBO" else [])
    return []


def _unsuitable(candidates: Sequence[Candidate]) -> StepFault:
    lacks = "; ".join(f"{found.member.server.url} lacks {', '.join(unsuitable(found)[:10])}" for found in candidates)
    return permanent("COMFY_UNSUITABLE", f"No ComfyUI server can run this graph: {lacks}"[:1000])


def _unavailable(members: Sequence[Member]) -> StepFault:
    troubles = "; ".join(member.trouble or "" for member in members)
    return transient("COMFY_UNAVAILABLE", f"No ComfyUI server answers: {troubles}"[:1000])
