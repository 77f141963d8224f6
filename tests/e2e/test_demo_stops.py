"""`emprops demo` stops the set that it started, however it ends itself."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.embedded.set_file import load_set
from tests.support.running_set import EMPROPS

STOP_SECONDS = 30.0


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """One in the middle of its journey: the set is ready, the job goes on."""
    command = [*EMPROPS, "demo", "--data", str(tmp_path / "set"), "--generations", "200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "200 generations" in line:
                break
        assert process.poll() is None, "".join(lines)
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_that_is_ended_leaves_nothing_running(
    demo: subprocess.Popen[str], number: signal.Signals, tmp_path: Path
) -> None:
    """Ctrl-C, a terminal that closes, a time limit of who called it, kill -9."""
    set_file = load_set(tmp_path / "set")
    processes = [
        psutil.Process(pid) for pid in (set_file.pid, *(info.pid for info in set_file.processes)) if pid is not None
    ]
    assert len(processes) > 8
    demo.send_signal(number)
    _, running = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    assert not running
    assert demo.wait(STOP_SECONDS) != 0
