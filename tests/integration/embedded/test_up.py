"""`emprops up` and other commands, as operators run them: one set after another on one folder."""

import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest

from infra.embedded.ports import LOOPBACK
from infra.embedded.set_file import SECRETS_FILE, SET_FILE
from tests.support.patience import PATIENCE, NotYet, wait_for
from tests.support.running_set import EMPROPS, RunningSet

STOP_SECONDS = 15.0
"""Limit for stopping a set."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[RunningSet]:
    instance = RunningSet(tmp_path / """the sät's "own", $HOME `x`""")
    yield instance
    if instance.process is not None and instance.process.poll() is None:
        instance.process.kill()
        instance.process.wait()


def processes_of(instance: RunningSet) -> list[psutil.Process]:
    """The supervisor and all its descendants."""
    assert instance.process is not None
    supervisor = psutil.Process(instance.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that still run after PATIENCE seconds; a zombie has ended."""
    _, left = psutil.wait_procs(processes, timeout=PATIENCE)
    return [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def addresses(processes: list[psutil.Process]) -> set[str]:
    pids = {process.pid for process in processes}
    connections = psutil.net_connections("inet")
    listening = {psutil.CONN_LISTEN, psutil.CONN_NONE}
    return {one.laddr[0] for one in connections if one.laddr and one.pid in pids and one.status in listening}


def emprops(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EMPROPS, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


async def test_a_set_lives_dies_and_goes_on_where_it_was(instance: RunningSet) -> None:
    """Started, used, stopped, started again, killed with -9, started again: the same data each time."""
    instance.up()
    first_url = instance.url
    assert f"ready {first_url}\n" in instance.output.read_text()
    assert addresses(processes_of(instance)) == {LOOPBACK}, "somebody else could reach a server"
    for name in (SET_FILE, SECRETS_FILE, "keys/issuer.jwk", "keys/grants.jwk", "nats/nats.conf"):
        assert (instance.data / name).stat().st_mode & 0o077 == 0, f"{name} can be read by others"

    user = uuid4()
    async with instance.client(user) as client:
        await client.post("/projects", {"name": "kept"})
    status = instance.command("status")
    assert (status["ready"], status["url"]) == (True, first_url)
    assert {process["restarts"] for process in status["processes"]} == {0}

    second = emprops("up", "--data", str(instance.data), "--port", "0")
    assert (second.returncode, second.stdout) == (2, "")
    assert f"A set already runs on {instance.data}" in second.stderr

    before_stop = processes_of(instance)
    assert instance.stop() < STOP_SECONDS
    assert instance.process is not None
    assert instance.process.returncode == 0
    assert not alive(before_stop)
    assert instance.command("status", check=False)["running"] is False

    instance.up()
    assert instance.url == first_url, "the address is kept when it is still free"
    assert "kept" in await names_of_projects(instance, user)

    before_kill = processes_of(instance)
    instance.process.kill()
    instance.process.wait()
    assert not alive(before_kill), "a killed supervisor left orphans"
    instance.up()
    assert "kept" in await names_of_projects(instance, user)
    instance.stop()


async def names_of_projects(instance: RunningSet, user: UUID) -> set[str]:
    async with instance.client(user) as client:
        return {item["name"] for item in await client.get("/projects")}


def restarted(instance: RunningSet) -> set[str]:
    return {info.name for info in instance.file.processes if info.restarts and info.state == "ready"}


def test_a_server_that_dies_is_back_at_its_address(instance: RunningSet) -> None:
    """After kill -9, which is reported; the services are not restarted."""
    instance.up()
    url, pids = instance.url, {info.name: info.pid for info in instance.file.processes if info.tells_health}
    for name in ("postgres", "nats", "seaweedfs"):
        instance.kill(name)

    def all_are_back() -> bool:
        if restarted(instance) != {"postgres", "nats", "seaweedfs"}:
            raise NotYet(instance.output.read_text())
        return True

    wait_for(all_are_back, "the servers to be started again")
    output = instance.output.read_text()
    assert all(f"{name} was killed by signal 9; restart 1" in output for name in ("postgres", "nats", "seaweedfs"))
    assert {info.name: info.pid for info in instance.file.processes if info.tells_health} == pids
    assert instance.url == url
    assert instance.process is not None
    os.kill(instance.process.pid, signal.SIGINT)
    assert instance.process.wait(STOP_SECONDS) == 0


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        refused = emprops("up", "--data", str(tmp_path / "other"), "--port", str(port))
    assert refused.returncode == 2
    assert f"Port {port} on {LOOPBACK} is in use. Give another --port, or 0" in refused.stderr


@pytest.mark.parametrize("command", [["status"], ["token"], ["status", "--json"]])
def test_a_folder_without_a_set_is_an_error_that_says_what_to_do(tmp_path: Path, command: list[str]) -> None:
    """Not a traceback."""
    refused = emprops(*command, "--data", str(tmp_path))
    assert refused.returncode == 1
    output, _, start = refused.stderr.partition(". Start one: ")
    assert output == f"emprops: There is no set in {tmp_path}"
    assert shlex.split(start)[-5:] == ["up", "--data", str(tmp_path), "--port", "8080"]


@pytest.mark.parametrize("command", ["up", "status", "token"])
def test_each_command_explains_itself_with_examples(command: str) -> None:
    """`--help` ends with lines to copy."""
    help_result = emprops(command, "--help")
    assert help_result.returncode == 0
    assert re.search(rf"\n    \S.* {command} --data ", help_result.stdout)
