"""The stepped clock steps, and the monotonic one does not."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from tests.support.clock import SteppedClock

PROGRAM = "import sys, time\nfor line in sys.stdin: print(time.time(), time.monotonic(), flush=True)"


def test_a_step_is_seen_by_a_running_process(tmp_path: Path) -> None:
    clock = SteppedClock(tmp_path / "clock")
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **clock.environment},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> tuple[float, float]:
            print(file=process.stdin, flush=True)
            wall, monotonic = map(float, process.stdout.readline().split())
            return wall - time.time(), monotonic

        began = ask()
        clock.step(timedelta(hours=1))
        forward = ask()
        clock.step(timedelta(hours=-1))
        back = ask()
        process.stdin.close()
    assert [round(offset / 3600, 1) for offset in (began[0], forward[0], back[0])] == [0, 1, -1]
    assert began[1] <= forward[1] <= back[1] < began[1] + 600
