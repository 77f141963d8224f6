"""Several ComfyUI servers: chooses one that can run a graph."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import structlog
from yarl import URL

from shared.contracts.work import OfferedModel
from workers.comfy.answers import State
from workers.comfy.custom_nodes import is_link
from workers.comfy.rewriting import Graph, Rewritten, stock_graph
from workers.comfy.server import ComfyServer, Unavailable
from workers.comfy.socket import Socket
from workers.kit.faults import StepFault, permanent, transient

POLL_SECONDS = 5.0
"""Between two requests for a server's queue; also the pause of a graph that waits for a server."""
CLASSES_SECONDS = 300.0
"""How long a server's list of classes and models is used; after an outage it is read again."""
STALE_SECONDS = 10.0
"""A list that is older is read again before a graph is refused because of it."""
ASK_SECONDS = 3.0
"""How long a request for a run's state may take."""

FILE_INPUT = re.compile(r"(?!sampler_|scheduler_)[a-z0-9_]*_name\d?")
"""Names of inputs that take one of the files in a folder of models, such as `ckpt_name` and `clip_name1`."""

log = structlog.get_logger()


VAE = "vae"
NOT_ASKED = "was not asked yet"


class Address(NamedTuple):
    url: str
    slots: int
    """Runs that we give it at a time."""


Waiting = Callable[[], contextlib.AbstractContextManager[None]]
"""Around the time that a step waits for a server that is at work: see `Step.waiting`."""


class Demand(NamedTuple):
    """What a step requires of a server."""

    graph: Graph
    models: Sequence[tuple[str, str]] = ()
    """Folder and name of files that the workflow says it needs, besides those that the graph's loaders name."""
    file_prefix: str = ""


def parse_urls(urls: str, slots: int = 1) -> list[Address]:
    """`http://a:8188,http://b:8188#2`: the part behind # is the number of runs at a time, `slots` without it.

    Raises ValueError with what is wrong.
    """
    addresses = []
    for text in filter(None, (part.strip() for part in urls.split(","))):
        url = URL(text)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"COMFY_URLS has http and https addresses with commas between, not {text!r}")
        if url.fragment and not (url.fragment.isdecimal() and 1 <= int(url.fragment) <= 64):
            raise ValueError(f"COMFY_URLS: behind # is the number of runs at a time, 1 to 64, not {url.fragment!r}")
        addresses.append(Address(str(url.with_fragment(None)), int(url.fragment or slots)))
    if len({address.url for address in addresses}) < len(addresses):
        raise ValueError("COMFY_URLS has the same server twice; for more runs at a time, add their number behind #")
    if not addresses:
        raise ValueError("COMFY_URLS has at least one address, such as http://127.0.0.1:8188")
    return addresses


class Member:
    """One server of the pool, and its last known state."""

    def __init__(self, server: ComfyServer, socket: Socket, slots: int) -> None:
        self.server, self.socket, self.slots = server, socket, slots
        self.running = 0
        """Our runs on it."""
        self.waiting = 0
        """All runs on it, at the last poll."""
        self.info: Mapping[str, Any] = {}
        self.models: Mapping[str, frozenset[str]] | None = None
        """Files by folder; None where the server does not tell."""
        self.trouble: str | None = NOT_ASKED
        self._read_at = float("-inf")

    @property
    def load(self) -> float:
        return max(self.running, self.waiting) / self.slots

    async def look(self, *, stale_after: float = CLASSES_SECONDS) -> None:
        """Reads the queue's length, and the classes when they are due. Sets `trouble` where the server is away."""
        now = asyncio.get_running_loop().time()
        try:
            self.waiting = await self.server.waiting()
            if self.trouble is not None or now >= self._read_at + stale_after:
                self.info, models = await self.server.object_info(), await self.server.models()
                self.models = None if models is None else {**models, VAE: models.get(VAE, frozenset()) | self._vaes()}
                self._read_at = now
        except Unavailable as error:
            if self.trouble is None:
                log.warning("comfy_server_unavailable", server=self.server.name, error=str(error))
            self.trouble = str(error)
        else:
            if self.trouble is not None:
                log.info("comfy_server_available", server=self.server.name, classes=len(self.info))
            self.trouble = None

    def _vaes(self) -> frozenset[str]:
        """The values that `VAELoader` accepts: files, and some that ComfyUI makes itself, such as pixel_space."""
        node = {"class_type": "VAELoader", "inputs": {}}
        return frozenset(name for name in _files(self.info, node, "vae_name") if name)

    async def state(self, prompt_id: str) -> State:
        """The state of a run; unknown also if the server does not answer."""
        if self.trouble not in (None, NOT_ASKED):
            return "unknown"
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return (await self.server.look_up(prompt_id)).state
        except (Unavailable, TimeoutError):
            return "unknown"


class Candidate(NamedTuple):
    member: Member
    rewritten: Rewritten


class Servers:
    """`wait_seconds`: how long a graph waits while no server that can run it answers."""

    def __init__(
        self, addresses: Sequence[Address], http: aiohttp.ClientSession, client_id: str, *, wait_seconds: float
    ) -> None:
        self.members = []
        for address in addresses:
            server = ComfyServer(address.url, http, client_id)
            self.members.append(Member(server, Socket(server, http), address.slots))
        self._wait_seconds = wait_seconds
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Polls all servers and keeps their sockets, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for member in self.members:
                tasks.create_task(member.socket.run())
                tasks.create_task(self._watch(member))

    async def _watch(self, member: Member) -> None:
        while True:
            await member.look()
            self._changed.set()
            await asyncio.sleep(POLL_SECONDS)

    def summary(self) -> str:
        """A sentence: how many servers there are, and the errors of those that are away."""
        away = [f"{member.server.name}: {member.trouble}" for member in self.members if member.trouble is not None]
        return "; ".join([f"{len(self.members) - len(away)} of {len(self.members)} servers", *away])

    def models(self) -> list[OfferedModel] | None:
        """The models that the servers have; None while one does not list them, or downloads them when it runs."""
        offered = set[OfferedModel]()
        for member in self.members:
            if member.models is None or DOWNLOADERS & member.info.keys():
                return None
            offered |= {OfferedModel(folder, name) for folder, names in member.models.items() for name in names}
        return sorted(offered, key=lambda model: (model.kind, model.name))

    async def with_run(self, prompt_id: str, states: Collection[State]) -> Member | None:
        """The server where this run is in one of the states."""
        member_states = await asyncio.gather(*(member.state(prompt_id) for member in self.members))
        return next(
            (member for member, state in zip(self.members, member_states, strict=True) if state in states), None
        )

    @contextlib.asynccontextmanager
    async def slot(self, member: Member) -> AsyncIterator[None]:
        """Counts a run of ours on the server."""
        member.running += 1
        try:
            yield
        finally:
            member.running -= 1
            self._changed.set()

    @contextlib.asynccontextmanager
    async def chosen(self, demand: Demand, waiting: Waiting = contextlib.nullcontext) -> AsyncIterator[Candidate]:
        """The least busy server that can run the graph, with the graph rewritten for it; a slot of it is taken.

        Waits, within `waiting`, while all suitable servers are busy, and up to `wait_seconds` while they do not answer.
        Raises StepFault: COMFY_UNSUITABLE if no server has the graph's nodes and models, COMFY_UNAVAILABLE if none
        answers.
        """
        candidate = await self._choose(demand, waiting)
        async with self.slot(candidate.member):
            yield candidate

    async def _choose(self, demand: Demand, waiting: Waiting) -> Candidate:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait_seconds
        is_read_again = False
        while True:
            self._changed.clear()
            healthy = [member for member in self.members if member.trouble is None]
            candidates = [candidate_of(member, demand) for member in healthy]
            able = [candidate for candidate in candidates if not unsuitable(candidate, demand)]
            if free := [candidate for candidate in able if candidate.member.running < candidate.member.slots]:
                return min(free, key=lambda candidate: candidate.member.load)
            if able:
                until = loop.time() + self._wait_seconds
            elif healthy and not is_read_again:
                is_read_again = True
                await asyncio.gather(*(member.look(stale_after=STALE_SECONDS) for member in healthy))
                continue
            elif len(healthy) == len(self.members):
                raise _unsuitable(candidates, demand)
            elif loop.time() >= until:
                raise _unsuitable(candidates, demand) if candidates else _unavailable(self.members)
            with waiting() if able else contextlib.nullcontext(), contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._changed.wait()


def candidate_of(member: Member, demand: Demand) -> Candidate:
    """The server with the graph as it would run there."""
    return Candidate(member, stock_graph(demand.graph, member.info, demand.file_prefix))


def unsuitable(candidate: Candidate, demand: Demand) -> list[str]:
    """What the server lacks for the graph: node classes, and files that its loaders or its folders do not list."""
    member, graph = candidate.member, candidate.rewritten.graph
    lacks = [f"node class {name}" for name in sorted(candidate.rewritten.missing)]
    fetched = {node["inputs"].get("filename") for node in graph.values() if node["class_type"] in DOWNLOADERS}
    for node in graph.values():
        for name, value in node["inputs"].items():
            if isinstance(value, str) and not is_link(value) and (files := _files(member.info, node, name)):
                lacks.extend([f"model {value}"] if value not in files else [])
    if member.models is not None:
        missing = [name for folder, name in demand.models if name not in member.models.get(folder, ())]
        lacks.extend(f"model {name}" for name in missing if name not in fetched)
    return list(dict.fromkeys(lacks))


DOWNLOADERS = frozenset({"EmProps_Asset_Downloader", "AssetDownloader"})
"""Nodes that fetch a model when they run, where a server has them."""


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


def _unsuitable(candidates: Sequence[Candidate], demand: Demand) -> StepFault:
    lacks = "; ".join(
        f"{candidate.member.server.name} lacks {', '.join(unsuitable(candidate, demand)[:10])}"
        for candidate in candidates
    )
    return permanent("COMFY_UNSUITABLE", f"No ComfyUI server can run this graph: {lacks}"[:1000])


def _unavailable(members: Sequence[Member]) -> StepFault:
    troubles = "; ".join(member.trouble or "" for member in members)
    return transient("COMFY_UNAVAILABLE", f"No ComfyUI server answers: {troubles}"[:1000])
