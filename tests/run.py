"""`python -m tests.run`: what `make test` runs. Everything but the fault suites in parallel, then those, two at a time.

A fault suite kills, freezes and restores servers of its own, and judges what it sees by time. It waits more than it
computes, so two leave each other the time that their bounds need; the other tests would not. With `--load N` there are
2 N busy loops per core beside the others: what waits for time, not for a condition, shows itself.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

LOOPS_PER_CORE = 2
NO_TESTS = 5
"""pytest's exit code where none of the tests asked for are of this kind: no failure while the other kind has some."""
BUSY_LOOP = """
import os, sys
while os.getppid() == int(sys.argv[1]):  # ends with the tests, also when those are killed
    for _ in range(1_000_000):
        pass
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=3, help="test processes at a time")
    parser.add_argument("--fault-jobs", type=int, default=2, help="fault suites at a time")
    parser.add_argument("--load", type=int, default=0, help=f"times {LOOPS_PER_CORE} busy loops per core")
    parser.add_argument("tests", nargs="*", default=["tests"], help="files and folders")
    options = parser.parse_args()
    with busy_loops(LOOPS_PER_CORE * options.load * (os.cpu_count() or 1)):
        side_by_side = pytest("-m", "not faults", "-n", str(options.jobs), "--dist", "loadfile", *options.tests)
    if side_by_side not in {0, 1, NO_TESTS}:  # interrupted, or used wrongly
        return side_by_side
    # tests/faults/conftest.py sorts the files; xdist would begin with those of many tests.
    by_file = ("--dist", "loadfile", "--no-loadscope-reorder")
    faults = pytest("-m", "faults", "-n", str(options.fault_jobs), *by_file, *options.tests)
    codes = [code for code in (side_by_side, faults) if code != NO_TESTS]
    return max(codes, default=NO_TESTS)


def pytest(*arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, check=False).returncode


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    command = [sys.executable, "-I", "-S", "-c", BUSY_LOOP, str(os.getpid())]
    loops = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


if __name__ == "__main__":
    sys.exit(main())
