"""Large files pass through a process of the service's own without ever being in its memory."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest_asyncio

from tests.support.apps.client import ALICE
from tests.support.apps.storage import GID, JOB, SID
from tests.support.patience import eventually
from tests.support.servers import Bucket
from tests.support.serving import free_port
from tests.support.tokens import AUDIENCE, TokenIssuer

MIB = 1024 * 1024
PIECE = os.urandom(MIB)


class Process:
    """`python -m services.storage serve`, as the supervisor runs it."""

    def __init__(self, url: str, pid: int, users: TokenIssuer, grants: TokenIssuer) -> None:
        self.url, self.users, self.grants = url, users, grants
        self._process = psutil.Process(pid)

    def resident(self) -> int:
        return int(self._process.memory_info().rss)

    def grant(self) -> dict[str, str]:
        ids = {"job_id": str(JOB), "gid": str(GID), "sid": str(SID), "collection_id": str(JOB), "read_job": str(JOB)}
        prefix = f"generations/{ALICE}/{JOB}/{GID}/{SID}/"
        return self.grants.bearer(ALICE, "worker", grant={**ids, "component_id": 1, "prefix": prefix})


@pytest_asyncio.fixture
async def process(database: str, nats_url: str, bucket: Bucket, tmp_path: Path) -> AsyncIterator[Process]:
    users, grants = TokenIssuer(), TokenIssuer("emprops-generation", kid="grants")
    port = free_port()
    environment = {
        **os.environ,
        **bucket.settings(),
        "DATABASE_URL": database,
        "NATS_URL": nats_url,
        "HTTP_PORT": str(port),
        "AUTH_JWKS_URL": users.jwks_file(tmp_path),
        "AUTH_ISSUER": users.iss,
        "AUTH_AUDIENCE": AUDIENCE,
        "GRANTS_JWKS_URL": grants.jwks_file(tmp_path),
    }
    with (tmp_path / "log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.storage", "serve", env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:

            async def serves() -> bool:
                assert child.returncode is None, (tmp_path / "log").read_text()
                return await is_ready(session, url)

            await eventually(serves, "the service to be ready")
        yield Process(url, child.pid, users, grants)
    finally:
        child.terminate()
        await child.wait()


async def is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def test_a_large_file_goes_in_and_out_with_bounded_memory(process: Process):
    """256 MiB, where the whole growth stays below 64 MiB (targets.md, P6)."""
    pieces = 256
    before, peak, done = process.resident(), 0, asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.resident())
            await asyncio.sleep(0.01)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield PIECE

    watching = asyncio.create_task(watch())
    expected = hashlib.sha256()
    for _ in range(pieces):
        expected.update(PIECE)
    headers = {"content-type": "video/mp4", "x-filename": "a.mp4", "x-content-sha256": expected.hexdigest()}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{process.url}/uploads", headers=headers | process.grant(), data=body()) as response:
            assert response.status == 201, await response.text()
            asset = (await response.json())["data"]
        assert (asset["size"], asset["sha256"]) == (pieces * MIB, expected.hexdigest())
        got = hashlib.sha256()
        async with session.get(f"{process.url}/assets/{asset['id']}/content", headers=process.grant()) as response:
            async for chunk in response.content.iter_chunked(MIB):
                got.update(chunk)
    done.set()
    await watching
    assert got.hexdigest() == expected.hexdigest()
    assert peak - before < 64 * MIB, f"grew by {(peak - before) / MIB:.0f} MiB"
