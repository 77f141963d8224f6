"""The supervisor keeps processes running when its writes fail or block: on a full disk, with a stopped reader."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from infra.embedded.background_writers import LineWriter, StateWriter
from infra.embedded.process import ProcessSpec
from infra.embedded.set_file import ProcessInfo, write_if_changed, write_private
from infra.embedded.supervisor import Stage, Supervisor
from infra.embedded.up import Journal
from tests.integration.embedded.test_places import small_disk
from tests.support.patience import PATIENCE, eventually
from tests.support.running_set import EMPROPS


def fill(disk: Path) -> Path:
    """Fills the disk to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    return filler


QUICK = {"first_pause": 0.02, "longest_pause": 0.1}


async def test_a_full_disk_stops_no_restart(tmp_path: Path) -> None:
    """A process that dies while the disk is full is restarted, if need be without a log; the state is written later."""
    with small_disk(tmp_path / "disk", 2) as disk:
        messages: list[str] = []
        state = StateWriter(lambda content: write_private(disk / "set.json", content, durable=False), messages.append)
        configuration = disk / "its.conf"

        def changed(processes: list[ProcessInfo]) -> None:
            state.put(repr([(process.name, process.state, process.pid) for process in processes]).encode())

        sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
        spec = ProcessSpec("one", sleeper, prepare=lambda: write_if_changed(configuration, b"its configuration"))
        supervisor = Supervisor(disk, [Stage((spec,))], say=messages.append, changed=changed, **QUICK)
        await supervisor.start()
        try:
            (disk / "one.log").unlink()  # a name that is new needs room, too
            filler = fill(disk)
            info = supervisor.children["one"].info
            for number in (1, 2, 3):
                assert info.pid is not None
                os.kill(info.pid, signal.SIGKILL)
                await eventually(lambda n=number: (info.restarts, info.state) == (n, "ready"), f"restart {number}")
            assert configuration.read_bytes() == b"its configuration"
            await eventually(
                lambda: any("the set's state can't be written (No space left" in line for line in messages),
                "it to be said",
            )
            filler.unlink()
            expected = repr([("one", "ready", info.pid)]).encode()
            await eventually(
                lambda: (disk / "set.json").read_bytes() == expected,
                "the state to be written",
                passing=(FileNotFoundError,),  # on a busy machine, perhaps for the first time
            )
            await eventually(lambda: "the set's state is written again" in messages, "that to be said")
            assert not list(disk.glob(".set.json*")), "half-written files are what a disk is full of"
        finally:
            await supervisor.stop()
            state.close()


async def test_failing_writes_are_ignored(tmp_path: Path) -> None:
    """Of lines and of the state, each time."""

    def refuse(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
    supervisor = Supervisor(tmp_path, [Stage((ProcessSpec("one", sleeper),))], say=refuse, changed=refuse, **QUICK)
    await supervisor.start()
    try:
        info = supervisor.children["one"].info
        for number in (1, 2):
            assert info.pid is not None
            os.kill(info.pid, signal.SIGKILL)
            await eventually(lambda n=number: (info.restarts, info.state) == (n, "ready"), f"restart {number}")
    finally:
        await supervisor.stop()


def test_lines_that_could_not_be_written_are_counted() -> None:
    """The count is written with the next line."""
    texts: list[str] = []
    is_full = True
    tried = threading.Semaphore(0)

    def write(line: str) -> None:
        try:
            if is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            texts.append(line)
        finally:
            tried.release()

    lines = LineWriter(write)
    for line in ("one", "two"):
        lines.put(line)
        assert tried.acquire(timeout=PATIENCE)
    is_full = False
    lines.put("three")
    lines.close()
    assert texts == ["(2 lines could not be written)\nthree"]


def test_a_journal_on_a_full_disk() -> None:
    """Each write raises, and it can be closed."""
    journal = Journal(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        journal.write("lost")
    journal.close()


def test_a_blocked_write_blocks_neither_put_nor_close() -> None:
    """As to a terminal that was stopped with Ctrl-S."""
    awake, texts = threading.Event(), list[str]()

    def write(text: str) -> None:
        awake.wait()
        texts.append(text)

    lines = LineWriter(write)
    for number in range(5000):
        lines.put(str(number))
    lines.close()
    assert texts == [], "closed before the reader was awake"
    awake.set()


def test_a_set_whose_terminal_is_stopped_starts_and_stops(tmp_path: Path) -> None:
    """Its standard output is a pipe that is full from the beginning."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    data = tmp_path / "set"
    command = [*EMPROPS, "up", "--data", str(data), "--port", "0"]
    supervisor = subprocess.Popen(command, stdout=writing, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        status = [*EMPROPS, "status", "--data", str(data)]
        while subprocess.run(status, capture_output=True, check=False).returncode != 0:
            assert supervisor.poll() is None
            assert time.monotonic() < deadline
        children = psutil.Process(supervisor.pid).children(recursive=True)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(PATIENCE) == 0
        assert not psutil.wait_procs(children, timeout=PATIENCE)[1]
        assert "stopped" in (data / "logs" / "supervisor.log").read_text().splitlines()[-1]
    finally:
        supervisor.kill()
        os.close(reading)
        os.close(writing)
