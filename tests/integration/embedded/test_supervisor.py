"""The supervisor, over tiny real processes: restarts, stops in order, leaves nothing behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.embedded.process import ProcessSpec
from infra.embedded.process_start import ProcessStart, start_of_pid
from infra.embedded.set_file import ProcessInfo
from infra.embedded.supervisor import GIVE_UP, Stage, StartFailedError, Supervisor
from infra.embedded.takeover import SetInUseError, end_leftovers, hold, is_held
from tests.support.patience import PATIENCE, eventually

FIRST, LONGEST, LONG = 0.02, 0.08, 60.0
"""Pauses between restarts. No process lives for `LONG` seconds, however busy the machine is."""

SERVES = """
import pathlib, signal, sys, time
me, journal = sys.argv[1], pathlib.Path(sys.argv[2])
def stop(*_):
    with journal.open("a") as file:
        file.write(f"{me} stopped\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
(journal.parent / f"{me}.up").touch()
while True:
    time.sleep(60)
"""
"""Touches `<name>.up` when it serves, and writes into the journal when it is asked to stop."""


def tiny(folder: Path, name: str, program: str = SERVES, grace_seconds: float = 5.0) -> ProcessSpec:
    """A process that counts as ready once its `.up` file is there."""
    up = folder / f"{name}.up"

    def ready() -> None:
        if not up.exists():
            raise ConnectionError(f"{name} is not up")

    return ProcessSpec(
        name=name,
        command=(sys.executable, "-c", textwrap.dedent(program), name, str(folder / "journal")),
        prepare=lambda: up.unlink(missing_ok=True),
        ready=ready,
        grace_seconds=grace_seconds,
    )


@contextlib.contextmanager
def child_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process of the test's own, gone when the block ends."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_from(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Said(list[str]):
    """What a supervisor has said, and a way to wait for it."""

    async def wait_for(self, words: str, times: int = 1) -> str:
        await eventually(lambda: sum(words in line for line in self) >= times, f"{words!r} to be said")
        return next(line for line in self if words in line)


def seconds_in(told: str) -> float:
    """The pause that a line announces."""
    return float(told.rpartition(" in ")[2].removesuffix(" s"))


@contextlib.asynccontextmanager
async def supervised(
    folder: Path,
    *stages: Stage,
    longest_pause: float = LONGEST,
    changed: Callable[[list[ProcessInfo]], None] = lambda _: None,
) -> AsyncIterator[tuple[Supervisor, Said]]:
    said = Said()
    supervisor = Supervisor(
        folder, list(stages), say=said.append, first_pause=FIRST, longest_pause=longest_pause, changed=changed
    )
    try:
        yield supervisor, said
    finally:
        await supervisor.stop()


async def test_a_process_that_dies_is_restarted_and_it_says_so(tmp_path: Path) -> None:
    """Killed with -9, it is there again with another pid, counted and announced."""
    async with supervised(tmp_path, Stage((tiny(tmp_path, "one"), tiny(tmp_path, "two")))) as (supervisor, said):
        await supervisor.start()
        one, two = (supervisor.children[name].info for name in ("one", "two"))
        first, untouched = one.pid, two.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        told = await said.wait_for("one was killed by signal 9")
        assert told.startswith("one was killed by signal 9; restart 1 in ")
        assert FIRST / 2 <= seconds_in(told) <= FIRST
        await said.wait_for("one is ready again")
        assert one.pid != first
        assert (one.restarts, two.restarts, two.pid) == (1, 0, untouched)


async def test_pauses_grow_and_a_start_that_keeps_failing_is_given_up(tmp_path: Path) -> None:
    """Pauses double up to the longest, less a random part; then `start` fails with the end of the log."""
    hopeless = tiny(tmp_path, "hopeless", "print('the disk is full'); raise SystemExit(3)")
    async with supervised(tmp_path, Stage((hopeless,)), longest_pause=LONG) as (supervisor, said):
        with pytest.raises(
            StartFailedError, match=r"(?s)hopeless can't be started: it ended with exit code 3.*the disk is full"
        ):
            await supervisor.start()
        pauses = [seconds_in(line) for line in said][:GIVE_UP]
    for pause, longest in zip(pauses, [FIRST * 2**failure for failure in range(GIVE_UP)], strict=True):
        assert longest / 2 <= pause <= longest


async def test_pauses_of_processes_that_die_together_differ(tmp_path: Path) -> None:
    """What failed together does not come back together."""
    hopeless = [tiny(tmp_path, f"hopeless-{number}", "raise SystemExit(3)") for number in range(4)]
    async with supervised(tmp_path, Stage(tuple(hopeless)), longest_pause=FIRST) as (supervisor, said):
        with pytest.raises(StartFailedError):
            await supervisor.start()
        assert len({seconds_in(line) for line in said}) > 1


async def test_a_process_that_stayed_up_is_restarted_at_once_again(tmp_path: Path) -> None:
    """Each life is longer than the longest pause, so each pause is the first one again."""
    lives = tiny(tmp_path, "lives", "import time; time.sleep(0.1); raise SystemExit(3)")
    async with supervised(tmp_path, Stage((lives,))) as (supervisor, said):
        with pytest.raises(StartFailedError):
            await supervisor.start()
        assert max(seconds_in(line) for line in said) <= FIRST


async def test_what_hinders_a_start_for_a_while_is_overcome(tmp_path: Path) -> None:
    """A preparation that fails twice is tried again."""
    failures = iter([OSError("no space"), OSError("no space")])
    good = tiny(tmp_path, "good")

    def prepare() -> None:
        good.prepare()
        for failure in failures:
            raise failure

    spec = ProcessSpec(good.name, good.command, prepare=prepare, ready=good.ready)
    async with supervised(tmp_path, Stage((spec,))) as (supervisor, said):
        await supervisor.start()
        assert await said.wait_for("could not be started: no space", times=2)
        assert supervisor.children["good"].info.state == "ready"


async def test_stages_start_one_after_the_other_and_stop_in_reverse(tmp_path: Path) -> None:
    """What comes between two stages runs once, after the first is ready; the last stage is stopped first."""
    server, service = tiny(tmp_path, "server"), tiny(tmp_path, "service")
    seen: list[bool] = []

    def between() -> None:
        seen.append((tmp_path / "server.up").exists() and not (tmp_path / "service.up").exists())

    async with supervised(tmp_path, Stage((server,), then=between), Stage((service,))) as (supervisor, _):
        await supervisor.start()
    assert seen == [True]
    assert (tmp_path / "journal").read_text().splitlines() == ["service stopped", "server stopped"]
    assert all(child.info.state == "stopped" and child.info.pid is None for child in supervisor.children.values())


async def test_a_process_that_will_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    """It has its grace and no more."""
    stubborn = tiny(
        tmp_path,
        "stubborn",
        SERVES.replace("signal.signal(signal.SIGTERM, stop)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
        grace_seconds=0.2,
    )
    async with supervised(tmp_path, Stage((stubborn,))) as (supervisor, said):
        await supervisor.start()
        pid = supervisor.children["stubborn"].info.pid
        await supervisor.stop()
        await said.wait_for("stubborn did not stop in 0.2 s and is killed")
        assert pid is not None
        assert not psutil.pid_exists(pid)


async def test_a_stop_while_starting_leaves_nothing(tmp_path: Path) -> None:
    """A process that never becomes ready is stopped like any other."""
    never = tiny(tmp_path, "never", "import time; time.sleep(600)")
    async with supervised(tmp_path, Stage((never,))) as (supervisor, _):
        starting = asyncio.create_task(supervisor.start())
        await eventually(lambda: supervisor.children["never"].info.pid is not None, "never to be started")
        pid = supervisor.children["never"].info.pid
        assert pid is not None
        await supervisor.stop()
        with pytest.raises(StartFailedError, match="stopped while never was starting"):
            await starting
        assert not psutil.pid_exists(pid)


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
    """A recorded process is ended; one that was given the recorded number since then is not."""
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
import os, subprocess, sys
os.setsid()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""


def test_what_a_process_left_behind_itself_is_ended_too() -> None:
    """A worker that was killed may leave a rendering process: it is of the recorded one's group."""
    with child_process("-c", LEAVES_A_CHILD) as worker:
        start = start_of_pid(worker.pid)
        orphan = int(line_from(worker))
        worker.wait(PATIENCE)
    try:
        record = ProcessInfo(name="worker-1", state="ready", pid=worker.pid, start=start, program=sys.executable)
        assert end_leftovers([record]) == ["worker-1"]
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


async def test_what_a_killed_process_left_running_is_ended_before_its_restart(tmp_path: Path) -> None:
    """A process that dies takes its group along."""
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
    async with supervised(tmp_path, Stage((parent,))) as (supervisor, said):
        await supervisor.start()
        child = psutil.Process(int((tmp_path / "child").read_text()))
        first = supervisor.children["parent"].info.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await said.wait_for("parent is ready again")
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_folder_has_one_supervisor_at_a_time(tmp_path: Path) -> None:
    """The second is told who the first is; once that one has gone, also by kill -9, the folder is free."""
    program = f"""
import pathlib, time
from infra.embedded.takeover import hold
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
