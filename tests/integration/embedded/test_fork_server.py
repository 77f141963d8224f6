"""Processes that are forked from the fork server behave as executed ones do."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.embedded import fork_client
from infra.embedded.fork_client import ForkClient
from infra.embedded.plan import PRELOADED
from infra.embedded.process import ProcessSpec
from infra.embedded.supervisor import Stage
from tests.integration.embedded.supervising import child_process, supervised
from tests.support.patience import eventually, wait_for
from tests.support.silence import frozen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not forked")

LOADED_SLOWLY = "heavy_library"
MODULE = """
import atexit, json, os, pathlib, signal, sys
found = {
    "arguments": sys.argv[1:], "name": __name__, "cwd": os.getcwd(), "own": os.environ.get("OWN"),
    "fork server's": os.environ.get("PYTHONUNBUFFERED"), "leads": os.getsid(0) == os.getpid(), "parent": os.getppid(),
    "was_loaded": "heavy_library" in sys.modules, "held": sys.stdin.buffer.read().decode(),
    "open": [each for each in os.listdir("/proc/self/fd") if int(each) > 2],
    "child_handler": signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL, "threads": len(os.listdir("/proc/self/task")),
}
print("into the log", flush=True)
atexit.register(print, "at exit")
signal.signal(signal.SIGUSR1, lambda *_: sys.exit("that was all"))
up = pathlib.Path(sys.argv[1])
up.with_suffix(".new").write_text(json.dumps(found))
up.with_suffix(".new").rename(up)
signal.pause()
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ProcessSpec]:
    (tmp_path / "a_service.py").write_text(MODULE)
    (tmp_path / f"{LOADED_SLOWLY}.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name: str, *arguments: str, **fields: Any) -> ProcessSpec:
        up = tmp_path / f"{name}.up"

        def ready() -> None:
            if not up.exists():
                raise ConnectionError(f"{name} is not up")

        process = ProcessSpec(
            name=name,
            command=(sys.executable, "-P", "-m", "a_service", str(up), *arguments),
            environment={"OWN": name},
            prepare=lambda: up.unlink(missing_ok=True),
            ready=ready,
            cwd=tmp_path,
            is_preloaded=True,
        )
        return replace(process, **fields)

    return make


def fork_client_in(folder: Path) -> ForkClient:
    return ForkClient(folder, (LOADED_SLOWLY,))


async def test_a_fork_behaves_as_an_executed_process(tmp_path: Path, spec: Callable[..., ProcessSpec]) -> None:
    """Arguments, working directory, environment, log and session; no descriptor of the fork server is open in it."""
    async with supervised(tmp_path, Stage((spec("one"), spec("two"))), fork_client=fork_client_in(tmp_path)) as (
        supervisor,
        messages,
    ):
        await supervisor.start()
        one, two = (json.loads((tmp_path / f"{name}.up").read_text()) for name in ("one", "two"))
        pids = {name: supervisor.children[name].info.pid for name in ("one", "two")}
    assert [line for line in messages if "without a fork" in line] == []
    assert one["parent"] == two["parent"] != os.getpid()
    assert pids["one"] != pids["two"]
    assert (one["arguments"], one["own"], two["own"]) == ([str(tmp_path / "one.up")], "one", "two")
    expected = {"name": "__main__", "cwd": str(tmp_path), "leads": True, "held": "", "child_handler": True}
    assert expected.items() <= one.items()
    assert (one["was_loaded"], one["threads"]) == (True, 1)
    assert len(one["open"]) == 1, "the folder of open files itself"
    assert (tmp_path / "one.log").read_text() == "into the log\n"


async def test_the_exit_code_of_a_fork_is_reported(tmp_path: Path, spec: Callable[..., ProcessSpec]) -> None:
    """And it is restarted."""
    stage = Stage((spec("killed"), spec("ends")))
    async with supervised(tmp_path, stage, fork_client=fork_client_in(tmp_path)) as (supervisor, messages):
        await supervisor.start()
        for name, number in (("killed", signal.SIGKILL), ("ends", signal.SIGUSR1)):
            pid = supervisor.children[name].info.pid
            assert pid is not None
            os.kill(pid, number)
        await messages.wait_for("killed was killed by signal 9; restart 1")
        await messages.wait_for("killed is ready again")
        await messages.wait_for("ends ended with exit code 1; restart 1")
    words = (tmp_path / "ends.log").read_text()
    assert "that was all" in words
    assert "at exit" in words, "it has ended as a program does"


async def test_forks_end_with_the_fork_server_and_are_started_again(
    tmp_path: Path, spec: Callable[..., ProcessSpec]
) -> None:
    async with supervised(tmp_path, Stage((spec("one"),)), fork_client=fork_client_in(tmp_path)) as (
        supervisor,
        messages,
    ):
        await supervisor.start()
        pid = supervisor.children["one"].info.pid
        assert pid is not None
        first, fork_server = psutil.Process(pid), psutil.Process(pid).parent()
        assert fork_server is not None
        fork_server.kill()
        await messages.wait_for("one is ready again")
        await eventually(lambda: not first.is_running(), "the first is gone")
        assert [line for line in messages if "without a fork" in line] == []


async def test_a_frozen_fork_server_delays_no_restart(
    tmp_path: Path, spec: Callable[..., ProcessSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end is noticed without it, and the process is executed; a fork that it makes later is killed."""
    monkeypatch.setattr(fork_client, "FORKS_WITHIN", 0.5)
    async with supervised(tmp_path, Stage((spec("one"),)), fork_client=fork_client_in(tmp_path)) as (
        supervisor,
        messages,
    ):
        await supervisor.start()
        pid = supervisor.children["one"].info.pid
        assert pid is not None
        fork_server = psutil.Process(pid).parent()
        assert fork_server is not None
        with frozen(fork_server.pid):
            os.kill(pid, signal.SIGKILL)
            await messages.wait_for("one has ended; restart 1")
            await messages.wait_for("one is started without a fork, and takes more memory: the fork server")
            await messages.wait_for("one is ready again")
        assert json.loads((tmp_path / "one.up").read_text())["parent"] == os.getpid()
        await eventually(lambda: fork_server.children() == [], "the fork that came too late is gone")
        assert supervisor.children["one"].ready.is_set()


async def test_without_a_fork_server_processes_are_executed(
    tmp_path: Path, spec: Callable[..., ProcessSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a line reports it."""
    stage, client = Stage((spec("one"),)), ForkClient(tmp_path, ("there_is_no_such_module",))
    async with supervised(tmp_path, stage, fork_client=client) as (supervisor, messages):
        await supervisor.start()
        await messages.wait_for("one is started without a fork")
        assert json.loads((tmp_path / "one.up").read_text())["parent"] == os.getpid()


def test_a_process_with_variables_that_are_read_at_exec_is_not_forked(spec: Callable[..., ProcessSpec]) -> None:
    """They would have no effect on a fork."""
    assert ForkClient.can_fork(spec("plain"))
    assert not ForkClient.can_fork(spec("other", is_preloaded=False))
    for name in ("LD_PRELOAD", "MALLOC_ARENA_MAX", "PYTHONPATH"):
        assert not ForkClient.can_fork(spec("altered", environment={name: "x"}))


ENDS_WITH_US = """
import asyncio, sys
from pathlib import Path
from infra.embedded.fork_client import ForkClient

async def main():
    client = ForkClient(Path(sys.argv[1]), tuple(sys.argv[2:]))
    await client.wait_until_loaded()
    print(client._process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_it_ends_with_its_supervisor_and_has_one_thread(tmp_path: Path) -> None:
    """With all modules of a set: a second thread might hold a lock during a fork."""
    with child_process("-c", ENDS_WITH_US, str(tmp_path), *PRELOADED) as supervisor:
        assert supervisor.stdout is not None
        fork_server = psutil.Process(int(supervisor.stdout.readline()))
        assert fork_server.num_threads() == 1
        supervisor.kill()
        wait_for(lambda: not fork_server.is_running(), "the fork server is gone")
