"""docs/how-to/rotate-keys.md does what it says: its commands are run as printed, on a set of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import psycopg
import pytest

from tests.support.jobs import start_job, until_ended
from tests.support.printed import shell_blocks
from tests.support.running_set import ROOT, RunningSet, running_set

GUIDE = ROOT / "docs" / "how-to" / "rotate-keys.md"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


async def status_of(running: RunningSet, token: str, path: str) -> int:
    """Of a GET."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(running.url, headers=headers) as session, session.get(path) as response:
        return response.status


async def complete_a_job(running: RunningSet, user: UUID) -> int:
    """The id of a file that the job has made."""
    async with running.client(user) as client:
        job = await start_job(client, 1)
        assert (await until_ended(client, job["job_id"]))["status"] == "completed"
        asset: int = (await client.get("/assets"))[0]["id"]
    return asset


def is_refused(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        return "password authentication failed" in str(error)
    return False


def with_port(dsn: str, running: RunningSet) -> str:
    """The DSN on the port that PostgreSQL has now."""
    return psycopg.conninfo.make_conninfo(dsn, port=running.file.ports["postgres"])


@pytest.mark.timeout(600)
async def test_rotating_replaces_every_secret_and_keeps_what_was_signed_until_it_is_revoked(tmp_path: Path) -> None:
    rotating, revoking = [block.commands for block in shell_blocks(GUIDE)]
    data = tmp_path / "data" / "set"
    data.parent.mkdir()
    with running_set(data) as running:
        user: UUID = await running.rich_user(100)
        token, grant = running.token(user), running.grant(user)
        content = f"/assets/{await complete_a_job(running, user)}/content"
        old = json.loads((data / "secrets.json").read_text())
        dsns = (running.file.postgres_url, running.file.services["credits"].database_url)

        refused = run(rotating, tmp_path)
        assert refused.returncode != 0
        assert "already runs" in refused.stderr
        assert json.loads((data / "secrets.json").read_text()) == old

        running.stop()
        done = run(rotating, tmp_path)
        assert done.returncode == 0, done.stderr
        running.up()
        new = json.loads((data / "secrets.json").read_text())
        assert new.keys() == old.keys()
        assert [name for name in old if new[name] == old[name]] == ["development user"]
        assert all(is_refused(with_port(dsn, running)) for dsn in dsns)
        assert await status_of(running, token, "/projects") == 200
        assert await status_of(running, running.token(user), "/projects") == 200
        assert await status_of(running, grant, content) != 401
        await complete_a_job(running, user)

        running.stop()
        done = run(revoking, tmp_path)
        assert done.returncode == 0, done.stderr
        running.up()
        assert await status_of(running, token, "/projects") == 401
        assert await status_of(running, grant, content) == 401
        assert await status_of(running, running.token(user), "/projects") == 200
        assert await status_of(running, running.grant(uuid4()), content) != 401
