"""P6: a large file up and down, through edge and storage; beside the `minio` client straight to the store."""

import contextlib
import http.client
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import psutil

from benchmarks.ground import Ground
from benchmarks.measure import Figure
from infra.embedded.seaweedfs import s3_client
from tests.support.running_set import RunningSet

MIB = 2**20
BLOCK = MIB
LOOK_SECONDS = 0.05
TIMEOUT = 120.0
PASSED = ("edge-1", "storage-1")
"""The processes that the bytes go through."""


def make_file(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def connection(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT, blocksize=BLOCK)


def upload(url: str, token: str, path: Path) -> int:
    """The new asset's id."""
    with contextlib.closing(connection(url)) as server, path.open("rb") as file:
        headers = {
            "Authorization": f"Bearer {token}",
            "X-Filename": path.name,
            "Content-Length": str(path.stat().st_size),
        }
        headers["Content-Type"] = "application/octet-stream"
        server.request("POST", "/assets", file, headers)
        response = server.getresponse()
        body = response.read()
        if response.status != 201:
            raise RuntimeError(f"the upload was answered with {response.status}: {body[:300]!r}")
        return int(msgspec.json.decode(body)["data"]["id"])


def download(url: str, token: str, asset: int, path: Path) -> None:
    with contextlib.closing(connection(url)) as server, path.open("wb") as file:
        server.request("GET", f"/assets/{asset}/content", headers={"Authorization": f"Bearer {token}"})
        response = server.getresponse()
        if response.status != 200:
            raise RuntimeError(f"the download was answered with {response.status}: {response.read()[:300]!r}")
        while block := response.read(BLOCK):
            file.write(block)


class Memory:
    """The largest growth of a process, of several, for the length of a `with` block; in MiB."""

    def __init__(self, pids: list[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._before = self._resident()
        self.growth = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _resident(self) -> list[float]:
        return [process.memory_info().rss / MIB for process in self._processes]

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            grown = [now - before for now, before in zip(self._resident(), self._before, strict=True)]
            self.growth = max(self.growth, *grown)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def rates(running: RunningSet, file: Path, mib: int) -> dict[str, float]:
    """MiB per second, each way, of ours and of the client."""
    token, s3 = running.token(uuid4(), ttl=24 * 3600), running.file.s3
    client = s3_client(s3.endpoint, s3.access_key, s3.secret_key)
    back, name = file.with_suffix(".back"), f"bench/{uuid4()}"
    rates_by_way: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(way: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        rates_by_way[way] = mib / (time.perf_counter() - began)

    with timed("up"):
        asset = upload(running.url, token, file)
    with timed("peer up"):
        client.fput_object(s3.bucket, name, str(file))
    with timed("down"):
        download(running.url, token, asset, back)
    if back.stat().st_size != file.stat().st_size:
        raise RuntimeError(f"{back.stat().st_size} bytes came back of {file.stat().st_size}")
    with timed("peer down"):
        client.fget_object(s3.bucket, name, str(back))
    back.unlink()
    return rates_by_way


def run(ground: Ground) -> Iterator[Figure]:
    mib, running = ground.size(1024, 16), ground.running
    file = ground.directory / "file.bin"
    make_file(file, ground.size(64, 4))
    try:
        rates(running, file, mib)  # connections are open, buckets and buffers are there
        make_file(file, mib)
        with Memory([running.pid(name) for name in PASSED]) as memory:
            rates_by_way = rates(running, file, mib)
    finally:
        file.unlink()
    peer = "the minio client straight to the store"
    for way, what, least in (("up", "upload", 0.95), ("down", "download", 0.9)):
        yield Figure(
            "P6",
            f"{what} of {mib:,} MiB through edge and storage",
            rates_by_way[way],
            "MiB/s",
            peer,
            rates_by_way[f"peer {way}"],
            least,
        )
    yield Figure("P6", "growth of edge's and storage's memory meanwhile, the larger", memory.growth, "MiB", limit=64)
