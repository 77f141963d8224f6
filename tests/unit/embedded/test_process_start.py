"""A process is identified by its start, also after the machine's clock was set; one of another boot is not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.embedded.process_start import BOOT_ID, ProcessStart, start_of, start_of_pid
from infra.embedded.set_file import ProcessInfo
from infra.embedded.set_lock import end_leftovers

HOUR = 3600


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def set_clock(monkeypatch: pytest.MonkeyPatch, proc: Path, offset: int) -> None:
    """As the kernel shows it after the machine's clock was set: the boot's time of day moves, nothing else."""
    proc.mkdir()
    for entry in Path("/proc").iterdir():
        if entry.name != "stat":
            (proc / entry.name).symlink_to(entry)
    lines = Path("/proc/stat").read_text().splitlines()
    moved = [f"btime {int(line.split()[1]) + offset}" if line.startswith("btime") else line for line in lines]
    (proc / "stat").write_text("\n".join(moved) + "\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(proc))


@pytest.mark.skipif(not BOOT_ID.exists(), reason="other systems keep the time of day at which a process started")
@pytest.mark.parametrize("offset", [HOUR, -HOUR])
def test_a_process_is_known_after_the_clock_was_set(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, offset: int
) -> None:
    """And is ended, when it was left behind by a supervisor that was killed."""
    recorded = start_of_pid(sleeper.pid)
    assert recorded is not None
    created = psutil.Process(sleeper.pid).create_time()
    set_clock(monkeypatch, tmp_path / "proc", offset)
    process = psutil.Process(sleeper.pid)
    assert process.create_time() == pytest.approx(created + offset, abs=1)
    assert recorded.is_of(process)
    assert recorded.is_before(process)
    info = ProcessInfo(name="worker-1", state="ready", pid=sleeper.pid, start=recorded, program=sys.executable)
    assert end_leftovers([info]) == ["worker-1"]


def test_another_start_or_another_boot_is_another_process() -> None:
    process = psutil.Process(os.getpid())
    mine = start_of(process)
    assert mine.is_of(process)
    assert not ProcessStart(mine.boot, mine.seconds - 60).is_of(process)
    assert not ProcessStart(mine.boot, mine.seconds + 60).is_before(process)
    assert not ProcessStart("another", mine.seconds).is_of(process)
    assert not ProcessStart("another", mine.seconds).is_before(process)


def test_a_process_that_is_gone_has_no_start(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert start_of_pid(sleeper.pid) is None
