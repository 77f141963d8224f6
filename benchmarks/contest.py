"""The same requests to the collections service, directly and through the edge, and to the Express peer, in turns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import uvloop

from benchmarks import accounting
from benchmarks.ground import Ground
from benchmarks.http_load import Loaded, load, request
from benchmarks.peers.express import Peer, crud_peer
from infra.demo.client import Client
from tests.support.jobs import two_steps
from tests.support.running_set import RunningSet

CONNECTIONS = 32
BODY: dict[str, Any] = {"title": "Tides", "description": "Drawn by the sea", "data": two_steps()}


@dataclass
class Contest:
    """Each connection has a user of its own. Rows are made per user, as their first collection makes their project."""

    running: RunningSet
    peer: Peer
    peer_pids: tuple[int, ...]
    users: list[str] = field(default_factory=lambda: [str(uuid4()) for _ in range(CONNECTIONS)])

    def __post_init__(self) -> None:
        tokens = [self.running.token(uuid4(), ttl=24 * 3600) for _ in self.users]
        bearer = [{"Authorization": f"Bearer {token}"} for token in tokens]
        plain = [{"x-user": user} for user in self.users]
        self.urls = {
            "service": self.running.file.services["collections"].urls[0],
            "edge": self.running.url,
            "peer": self.peer.url,
        }
        self.headers = {"service": bearer, "edge": bearer, "peer": plain}

    def create(self, name: str, seconds: float, connections: int = CONNECTIONS) -> Loaded:
        all_headers = self.headers[name][:connections]
        requests = [request("POST", self.urls[name], "/projects/collections", BODY, headers) for headers in all_headers]
        return uvloop.run(load(self.urls[name], requests, 201, seconds))

    def read(self, name: str, collection_ids: list[str], seconds: float) -> Loaded:
        requests = [
            request("GET", self.urls[name], f"/collections/{collection_id}", None, headers)
            for collection_id, headers in zip(collection_ids, self.headers[name], strict=True)
        ]
        return uvloop.run(load(self.urls[name], requests, 200, seconds))

    def create_one_each(self, name: str) -> list[str]:
        """Ids of a new collection for each user."""

        async def make() -> list[str]:
            ids = []
            for headers in self.headers[name]:
                async with Client(self.urls[name], "") as client:
                    ids.append((await client.post("/projects/collections", BODY, **headers))["id"])
            return ids

        return uvloop.run(make())

    def create_and_follow(self, name: str, seconds: float, connections: int) -> tuple[Loaded, accounting.Used, float]:
        """Creates collections, and waits for all followers; returns also the CPU used, and the seconds of the wait."""
        if name == "peer":
            with accounting.using(*self.peer_pids) as used:
                loaded = self.create(name, seconds, connections)
            return loaded, used, 0.0
        since = accounting.head(accounting.database_url(self.running, "generation"))
        with accounting.using(accounting.supervisor(self.running)) as used:
            loaded = self.create(name, seconds, connections)
            behind = accounting.until_adopted(self.running, since, loaded.statuses[201])
        return loaded, used, behind


@contextmanager
def contest(ground: Ground, running: RunningSet | None = None) -> Iterator[Contest]:
    """A contest on `running`, or on the set that rows share."""
    with crud_peer(ground.database("express"), ground.directory) as peer:
        yield Contest(running or ground.running, peer, (peer.pid, ground.postgres_pid))
