"""The supervisor, with small real processes: restarts, and stops in order."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.embedded.process import ProcessSpec
from infra.embedded.supervisor import GIVE_UP, Stage, StartFailedError
from tests.integration.embedded.supervising import (
    FIRST,
    LONG,
    SERVES,
    seconds_in,
    supervised,
    tiny,
)
from tests.support.patience import eventually


async def test_a_process_that_dies_is_restarted_and_it_says_so(tmp_path: Path) -> None:
    """After kill -9 it runs again with another pid; the restart is counted and reported."""
    async with supervised(tmp_path, Stage((tiny(tmp_path, "one"), tiny(tmp_path, "two")))) as (supervisor, messages):
        await supervisor.start()
        one, two = (supervisor.children[name].info for name in ("one", "two"))
        first, untouched = one.pid, two.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        message = await messages.wait_for("one was killed by signal 9")
        assert message.startswith("one was killed by signal 9; restart 1 in ")
        assert FIRST / 2 <= seconds_in(message) <= FIRST
        await messages.wait_for("one is ready again")
        assert one.pid != first
        assert (one.restarts, two.restarts, two.pid) == (1, 0, untouched)


async def test_pauses_grow_and_a_start_that_keeps_failing_is_given_up(tmp_path: Path) -> None:
    """Pauses double up to the longest, less a random part; then `start` fails with the end of the log."""
    hopeless = tiny(tmp_path, "hopeless", "print('the disk is full'); raise SystemExit(3)")
    async with supervised(tmp_path, Stage((hopeless,)), longest_pause=LONG) as (supervisor, messages):
        with pytest.raises(
            StartFailedError, match=r"(?s)hopeless can't be started: it ended with exit code 3.*the disk is full"
        ):
            await supervisor.start()
        pauses = [seconds_in(line) for line in messages][:GIVE_UP]
    for pause, longest in zip(pauses, [FIRST * 2**failure for failure in range(GIVE_UP)], strict=True):
        assert longest / 2 <= pause <= longest


async def test_pauses_of_processes_that_die_together_differ(tmp_path: Path) -> None:
    """Processes that died together are not restarted together."""
    hopeless = [tiny(tmp_path, f"hopeless-{number}", "raise SystemExit(3)") for number in range(4)]
    async with supervised(tmp_path, Stage(tuple(hopeless)), longest_pause=FIRST) as (supervisor, messages):
        with pytest.raises(StartFailedError):
            await supervisor.start()
        assert len({seconds_in(line) for line in messages}) > 1


async def test_a_process_that_stayed_up_is_restarted_at_once_again(tmp_path: Path) -> None:
    """Each life is longer than the longest pause, so each pause is the first one again."""
    lives = tiny(tmp_path, "lives", "import time; time.sleep(0.1); raise SystemExit(3)")
    async with supervised(tmp_path, Stage((lives,))) as (supervisor, messages):
        with pytest.raises(StartFailedError):
            await supervisor.start()
        assert max(seconds_in(line) for line in messages) <= FIRST


async def test_a_start_that_fails_is_retried(tmp_path: Path) -> None:
    """`prepare` fails twice, and is retried."""
    failures = iter([OSError("no space"), OSError("no space")])
    good = tiny(tmp_path, "good")

    def prepare() -> None:
        good.prepare()
        for failure in failures:
            raise failure

    spec = ProcessSpec(good.name, good.command, prepare=prepare, ready=good.ready)
    async with supervised(tmp_path, Stage((spec,))) as (supervisor, messages):
        await supervisor.start()
        assert await messages.wait_for("could not be started: no space", times=2)
        assert supervisor.children["good"].info.state == "ready"


async def test_stages_start_one_after_the_other_and_stop_in_reverse(tmp_path: Path) -> None:
    """What comes between two stages runs once, after the first is ready; the last stage is stopped first."""
    server, service = tiny(tmp_path, "server"), tiny(tmp_path, "service")
    observations: list[bool] = []

    def between() -> None:
        observations.append((tmp_path / "server.up").exists() and not (tmp_path / "service.up").exists())

    async with supervised(tmp_path, Stage((server,), then=between), Stage((service,))) as (supervisor, _):
        await supervisor.start()
    assert observations == [True]
    assert (tmp_path / "journal").read_text().splitlines() == ["service stopped", "server stopped"]
    assert all(child.info.state == "stopped" and child.info.pid is None for child in supervisor.children.values())


async def test_a_process_that_will_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    """After `grace_seconds`."""
    stubborn = tiny(
        tmp_path,
        "stubborn",
        SERVES.replace("signal.signal(signal.SIGTERM, stop)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
        grace_seconds=0.2,
    )
    async with supervised(tmp_path, Stage((stubborn,))) as (supervisor, messages):
        await supervisor.start()
        pid = supervisor.children["stubborn"].info.pid
        await supervisor.stop()
        await messages.wait_for("stubborn did not stop in 0.2 s and is killed")
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


WAITS = """
import pathlib, sys, time
while not (pathlib.Path(sys.argv[2]).parent / "{}").exists():
    time.sleep(0.01)
"""
WAITING = {"first": "loaded", "slow": "order"}
"""Files of the held one's without which they do not get ready."""
HELD_ONE = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[2]).parent
(folder / "loaded").touch()
assert os.environ["START_WHEN_STDIN_ENDS"]
sys.stdin.buffer.read()
(folder / "order").write_text("after" if (folder / "first.up").exists() else "before")
"""


async def test_what_is_held_loads_while_what_it_needs_starts(tmp_path: Path) -> None:
    """It continues once the previous stage is ready; it does not wait for a stage that is beside."""
    first, slow = (tiny(tmp_path, name, WAITS.format(what) + SERVES) for name, what in WAITING.items())
    held = replace(tiny(tmp_path, "held", HELD_ONE + SERVES), is_held=True)
    stages = Stage((first,)), Stage((slow,), is_ahead=True, is_beside=True), Stage((held,), is_ahead=True)
    async with supervised(tmp_path, *stages) as (supervisor, messages):
        await supervisor.start()
        assert (tmp_path / "order").read_text() == "after"
        assert {line.split()[0] for line in messages} == {"first", "slow", "held"}


async def test_one_that_is_beside_and_fails_fails_the_start(tmp_path: Path) -> None:
    """Although another process never becomes ready; the error names the one that failed."""
    hopeless = tiny(tmp_path, "hopeless", "raise SystemExit(3)")
    waiting = tiny(tmp_path, "waiting", "import time; time.sleep(600)")
    async with supervised(tmp_path, Stage((hopeless,), is_beside=True), Stage((waiting,))) as (supervisor, _):
        with pytest.raises(StartFailedError, match="hopeless can't be started"):
            await supervisor.start()


async def test_a_process_is_started_when_it_becomes_wanted(tmp_path: Path) -> None:
    """The set is ready without it, and does not show it before; then it is restarted and stopped as the others are."""
    wanted_file = tmp_path / "wanted"
    stages = (Stage((tiny(tmp_path, "one"),)), Stage((tiny(tmp_path, "two"),), wanted=wanted_file.exists))
    async with supervised(tmp_path, *stages) as (supervisor, messages):
        await supervisor.start()
        two = supervisor.children["two"]
        assert two.info.pid is None
        wanted_file.touch()
        await messages.wait_for("two is ready")
        assert two.info.pid is not None
        os.kill(two.info.pid, signal.SIGKILL)
        await messages.wait_for("two is ready again")
    assert sorted((tmp_path / "journal").read_text().splitlines()) == ["one stopped", "two stopped"]


async def test_a_set_is_stopped_while_a_process_is_not_wanted(tmp_path: Path) -> None:
    stages = (Stage((tiny(tmp_path, "one"),)), Stage((tiny(tmp_path, "two"),), wanted=lambda: False))
    async with supervised(tmp_path, *stages) as (supervisor, _):
        await supervisor.start()
    assert (tmp_path / "journal").read_text() == "one stopped\n"
