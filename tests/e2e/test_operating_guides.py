"""Guides whose commands stop, restore or extend a set are true: their commands run as printed, on sets of their own."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import psycopg
import pytest

from infra.cli.history import definition_of
from infra.embedded.ports import PortPicker
from infra.embedded.python_process import check_ready
from services.generation.handlers.secrets import Secrets
from shared.eventstore import EventStore
from tests.support.jobs import start_job, until_ended
from tests.support.patience import PATIENCE, eventually, wait_for
from tests.support.printed import shell_blocks
from tests.support.running_set import ROOT, RunningSet, running_set

SECRET_VALUE = "a-secret-that-outlasts-the-key"
GUIDES = ROOT / "docs" / "how-to"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script in a clone's folder; `.venv` is the environment of the tests."""
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(sys.prefix)
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
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


def secrets_key(data: Path) -> str:
    return (data / "keys" / "secrets.key").read_text()


async def store_secret(running: RunningSet) -> None:
    command = [sys.executable, "-m", "infra.cli", "secrets", "set", "--data", str(running.data), "KEY"]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, input=SECRET_VALUE, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def secret_value(running: RunningSet) -> str:
    dsn = running.file.services["generation"].database_url
    async with EventStore.open(dsn, definition_of("generation").codec()) as store:
        return await Secrets(store, secrets_key(running.data)).value("KEY")


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
    rotating, revoking = [block.commands for block in shell_blocks(GUIDES / "rotate-keys.md")]
    data = tmp_path / "data" / "set"
    data.parent.mkdir()
    with running_set(data) as running:
        user: UUID = await running.rich_user(100)
        token, grant = running.token(user), running.grant(user)
        content = f"/assets/{await complete_a_job(running, user)}/content"
        old = json.loads((data / "secrets.json").read_text())
        await store_secret(running)
        key = secrets_key(data)
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
        assert secrets_key(data) != key
        assert await secret_value(running) == SECRET_VALUE
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


async def available(running: RunningSet, user: UUID) -> float:
    async with running.client(user) as client:
        return float((await client.get("/credits"))["available"])


@pytest.mark.timeout(600)
async def test_a_restored_database_and_a_restored_set_are_as_they_were(tmp_path: Path) -> None:
    dump, restore_dump, copy, restore_copy = [
        block.commands for block in shell_blocks(GUIDES / "back-up-and-restore.md")
    ]
    data = tmp_path / "data" / "set"
    data.parent.mkdir()
    with running_set(data) as running:
        user = await running.rich_user(10)
        done = run(f"{dump}\n", tmp_path)
        assert done.returncode == 0, done.stderr
        await give(running, user, 5)
        assert await available(running, user) == 15
        done = run(f"{dump.replace('pg_dump', ': pg_dump')}\n{restore_dump}", tmp_path)
        assert done.returncode == 0, done.stderr

        async def is_restored() -> bool:
            return await available(running, user) == 10

        await eventually(is_restored, "the earlier balance", passing=(Exception,))
        assert "The history of credits was restored" in running.until_in_order(within=PATIENCE).words

        running.stop()
        done = run(copy, tmp_path)
        assert done.returncode == 0, done.stderr
        running.up()
        await give(running, user, 7)
        running.stop()
        done = run(restore_copy, tmp_path)
        assert done.returncode == 0, done.stderr
        running.up()
        assert await available(running, user) == 10
        await complete_a_job(running, user)


async def give(running: RunningSet, user: UUID, credits_: int) -> None:
    async with running.client(uuid4(), "user", "operator") as operator:
        await operator.post("/credits/grants", {"user_id": str(user), "amount": credits_, "source": "test"})


@pytest.mark.timeout(300)
def test_the_worker_of_the_guide_connects_with_the_settings_that_the_set_wrote(tmp_path: Path) -> None:
    guide = (GUIDES / "write-a-worker.md").read_text()
    [start] = re.findall(r"^```text\n(emprops up .*?)^```$", guide, re.MULTILINE | re.DOTALL)
    [code] = re.findall(r"^```python\n# greeter.py\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    (tmp_path / "greeter.py").write_text(code)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    data = tmp_path / "data" / "set"
    data.parent.mkdir()
    start_set, start_worker = start.splitlines()
    assert start_set.startswith("emprops up --data data/set ")
    with contextlib.closing(RunningSet(data)) as running:
        running.up(*shlex.split(start_set)[4:])
        port = PortPicker().pick("greeter")
        environment = {**os.environ, "HTTP_PORT": str(port)}
        worker = subprocess.Popen(["bash", "-c", f"exec {start_worker}"], cwd=tmp_path, env=environment)
        try:
            wait_for(lambda: is_ready(worker, port), "the worker to be ready")
        finally:
            worker.terminate()
        assert worker.wait(30) == 0


def is_ready(worker: subprocess.Popen[bytes], port: int) -> bool:
    assert worker.poll() is None, "the worker has ended"
    try:
        check_ready(port)
    except OSError:
        return False
    return True
