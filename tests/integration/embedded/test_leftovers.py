"""Processes that a killed supervisor or process has left are ended, and a folder has one supervisor."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from infra.embedded.process_start import ProcessStart, start_of_pid
from infra.embedded.set_file import ProcessInfo
from infra.embedded.set_lock import SetInUseError, end_leftovers, hold, is_held
from infra.embedded.supervisor import Stage
from tests.integration.embedded.supervising import SERVES, child_process, line_from, supervised, tiny
from tests.support.patience import PATIENCE

SUPERVISES = """
import asyncio, pathlib, sys
from infra.embedded.process import ProcessSpec
from infra.embedded.supervisor import Stage, Supervisor
sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
async def run():
    stages = [Stage((ProcessSpec("one", sleeper), ProcessSpec("two", sleeper)))]
    supervisor = Supervisor(pathlib.Path(sys.argv[1]), stages, say=lambda line: None)
    await supervisor.start()
    print(*(child.info.pid for child in supervisor.children.values()), flush=True)
    await asyncio.sleep(600)
asyncio.run(run())
"""


def test_a_killed_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    """The kernel ends the children of a supervisor that was killed with -9."""
    with child_process("-c", SUPERVISES, str(tmp_path)) as supervisor:
        children = [psutil.Process(int(pid)) for pid in line_from(supervisor).split()]
        assert len(children) == 2
        supervisor.kill()
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive


def test_what_was_left_running_is_ended_and_others_are_left_alone() -> None:
    """A recorded process is ended; another process with a reused pid is not."""
    sleeper = ("-c", "import time; time.sleep(600)")
    with child_process(*sleeper) as ours, child_process(*sleeper) as stranger:
        start = start_of_pid(ours.pid)
        assert start is not None
        before = ProcessStart(start.boot, start.seconds - 60)
        of_another_boot = ProcessStart("another", start.seconds)
        recorded = [
            ProcessInfo(name="ours", state="ready", pid=ours.pid, start=start, program=sys.executable),
            ProcessInfo(name="old", state="ready", pid=stranger.pid, start=before, program=sys.executable),
            ProcessInfo(name="older", state="ready", pid=stranger.pid, start=of_another_boot, program=sys.executable),
            ProcessInfo(name="stopped", state="stopped", program=sys.executable),
        ]
        assert end_leftovers(recorded) == ["ours"]
        assert not psutil.pid_exists(ours.pid)
        assert psutil.pid_exists(stranger.pid)


LEAVES_A_CHILD = """
import os, subprocess, sys, time
os.setsid()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_what_a_process_left_behind_itself_is_ended_too() -> None:
    """A killed worker may leave a rendering process, in the worker's process group."""
    with child_process("-c", LEAVES_A_CHILD) as worker:
        start = start_of_pid(worker.pid)
        orphan = int(line_from(worker))
        worker.kill()
        worker.wait(PATIENCE)
    try:
        record = ProcessInfo(name="worker-1", state="ready", pid=worker.pid, start=start, program=sys.executable)
        assert end_leftovers([record]) == ["worker-1"]
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


async def test_what_a_killed_process_left_running_is_ended_before_its_restart(tmp_path: Path) -> None:
    """When a process dies, its process group is killed."""
    parent = tiny(
        tmp_path,
        "parent",
        SERVES.replace(
            "while True:",
            "import subprocess\n"
            'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])\n'
            '(journal.parent / "child").write_text(str(child.pid))\n'
            '(journal.parent / f"{me}.up").touch()\n'
            "while True:",
        ).replace('(journal.parent / f"{me}.up").touch()', "", 1),
    )
    async with supervised(tmp_path, Stage((parent,))) as (supervisor, messages):
        await supervisor.start()
        child = psutil.Process(int((tmp_path / "child").read_text()))
        first = supervisor.children["parent"].info.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await messages.wait_for("parent is ready again")
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_folder_has_one_supervisor_at_a_time(tmp_path: Path) -> None:
    """The second one's error names the first one's pid; when the first ends, also by kill -9, the folder is free."""
    program = f"""
import pathlib, time
from infra.embedded.set_lock import hold
lock = hold(pathlib.Path({str(tmp_path)!r}))
print("held", flush=True)
time.sleep(600)
"""
    assert not is_held(tmp_path)
    with child_process("-c", program) as first:
        assert line_from(first) == "held"
        assert is_held(tmp_path)
        with pytest.raises(SetInUseError, match=f"pid {first.pid}"):
            hold(tmp_path)
    hold(tmp_path).close()
    assert not is_held(tmp_path)
