"""`emprops status` is right and in time, whatever is frozen, killed or missing."""

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.support.load import busy_seconds
from tests.support.patience import wait_for
from tests.support.running_set import RunningSet, Status, running_set
from tests.support.silence import frozen

pytestmark = pytest.mark.faults

STATUS_SECONDS = 3.0
PROCESSES = (
    *("postgres", "nats", "seaweedfs", "collections-1", "generation-1", "credits-1", "storage-1", "edge-1", "worker-1"),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    with running_set(tmp_path_factory.mktemp("status") / "set") as instance:
        instance.until_in_order(60)
        yield instance


def assert_tells(status: Status, *words: str) -> None:
    assert status.code == 1, status.words
    for word in words:
        assert word in status.words, status.words
    # Starting Python and importing is in it, which alone takes seconds on a busy machine.
    assert status.seconds < STATUS_SECONDS + 2 * busy_seconds(), f"{status.seconds:.1f} s"


@pytest.mark.parametrize("name", PROCESSES)
def test_a_frozen_process_is_named(running: RunningSet, name: str) -> None:
    """And how to wake it; then all is in order again."""
    pid = running.info(name).pid
    assert pid is not None
    with frozen(pid):
        assert_tells(running.status(preload=False), f"{name}: it is frozen (SIGSTOP); wake it: kill -CONT {pid}")
    running.until_in_order(60)


def test_a_frozen_supervisor_is_named_and_what_died_meanwhile(running: RunningSet) -> None:
    """`status` reports the set as stopped: no supervisor restarts the process, although the set's file names one."""
    assert running.process is not None
    supervisor = running.process.pid
    # Itself alone: its children run on.
    os.kill(supervisor, signal.SIGSTOP)
    try:
        assert_tells(
            running.status(preload=False),
            f"the supervisor (pid {supervisor}) is frozen: processes that die are not started again",
        )
        running.kill("credits-1")
        assert_tells(running.status(preload=False), "credits-1: it has died; the supervisor has not noticed yet")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    running.until_in_order(60)


def test_a_frozen_fork_server_is_named_and_what_dies_is_started_without_it(running: RunningSet) -> None:
    """The process that services are forked from; they run on."""
    pid = running.info("credits-1").pid
    assert pid is not None
    fork_server = psutil.Process(pid).ppid()
    os.kill(fork_server, signal.SIGSTOP)
    try:
        words = f"the fork server (pid {fork_server}) is frozen"
        assert_tells(running.status(preload=False), words, f"kill -CONT {fork_server}")
        running.kill("credits-1")
        wait_for(lambda: running.info("credits-1").pid not in {None, pid}, "credits is started by itself")
    finally:
        os.kill(fork_server, signal.SIGCONT)
    running.until_in_order(60)


def test_a_process_that_is_started_again_is_told(running: RunningSet) -> None:
    """Until it is ready; a set that has only just healed is in order."""
    running.kill("storage-1")
    running.until_in_order(60)
    assert running.info("storage-1").restarts >= 1
