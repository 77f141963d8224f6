"""Small real processes, and a supervisor that runs them."""

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil

from infra.embedded.fork_client import ForkClient
from infra.embedded.process import ProcessSpec
from infra.embedded.set_file import ProcessInfo
from infra.embedded.supervisor import Stage, Supervisor
from tests.support.patience import eventually, wait_for

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
"""Touches `<name>.up` when it serves, and writes to the journal on SIGTERM."""


def tiny(folder: Path, name: str, program: str = SERVES, grace_seconds: float = 5.0) -> ProcessSpec:
    """A process that is ready when its `.up` file exists."""
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
    """A Python process, killed when the block ends."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            # Popen returns when the program is about to be loaded.
            wait_for(lambda: _command_line(process.pid), "the process to run its program")
            yield process
        finally:
            process.kill()


def line_from(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Said(list[str]):
    """The lines that a supervisor has printed."""

    async def wait_for(self, words: str, times: int = 1) -> str:
        await eventually(lambda: sum(words in line for line in self) >= times, f"{words!r} to be said")
        return next(line for line in self if words in line)


def seconds_in(line: str) -> float:
    """The pause before a restart, from the line that announces it."""
    return float(line.rpartition(" in ")[2].removesuffix(" s"))


@contextlib.asynccontextmanager
async def supervised(
    folder: Path,
    *stages: Stage,
    longest_pause: float = LONGEST,
    changed: Callable[[list[ProcessInfo]], None] = lambda _: None,
    fork_client: ForkClient | None = None,
) -> AsyncIterator[tuple[Supervisor, Said]]:
    messages = Said()
    supervisor = Supervisor(
        folder,
        list(stages),
        say=messages.append,
        first_pause=FIRST,
        longest_pause=longest_pause,
        changed=changed,
        fork_client=fork_client,
    )
    try:
        yield supervisor, messages
    finally:
        await supervisor.stop()


def _command_line(pid: int) -> list[str]:
    """Empty while the program is being loaded: psutil takes a process without a command line for a zombie."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.ZombieProcess:
        return []
