"""The description of a child process, and functions to start and stop it.

A child never outlives us: on Linux the kernel signals it when its parent dies (PR_SET_PDEATHSIG), also after kill -9.
It has its own session, so that Ctrl-C reaches only the parent, which stops the children in order.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from infra.embedded.errors import SetError
from infra.embedded.identity import LAUNCHER, Identity

LOG_LIMIT = 32 * 1024 * 1024
"""Bytes after which a log is set aside as `<name>.log.1` at the process's next start."""
POLL_SECONDS = 0.05


class ProcessFailedError(SetError):
    """A process could not be started."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class ProcessSpec:
    """A program to run, and how to check that it serves."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to our own environment."""
    prepare: Callable[[], None] = _nothing
    """Runs before every start; must be idempotent."""
    cleanup: Callable[[], None] = _nothing
    """Runs after every end."""
    ready: Callable[[], None] = _nothing
    """Raises while the process does not serve. Called in a thread; must end within seconds."""
    cwd: Path = Path("/")
    identity: Identity | None = None
    """The user to run as; None: ours."""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the parent dies."""
    grace_seconds: float = 7.0
    """Between the stop signal and SIGKILL."""
    is_held: bool = False
    """It may start before its dependencies, and waits for its turn: see `shared.runtime.delayed_start`."""
    is_preloaded: bool = False
    """It is `python -m MODULE …` of a module that the fork server has imported, so it may be forked."""
    url: str | None = None
    """Its address."""
    tells_health: bool = False
    """Whether it serves `/health/ready` and `/metrics` at `url`."""


def launch_command(spec: ProcessSpec) -> list[str]:
    """The program and its arguments; on Linux through `launch.py`, so that it ends when we do.

    Start it from a thread that outlives it: the kernel sends the death signal when the thread that forked it ends.
    """
    if sys.platform != "linux":
        return list(spec.command)
    return launch_arguments(spec.command, spec.identity, spec.death_signal)


def launch_arguments(
    command: Sequence[str], identity: Identity | None, death_signal: int = signal.SIGKILL
) -> list[str]:
    """The command that executes `command` through `launch.py`."""
    first = [str(int(death_signal)), str(os.getpid()), identity.argument if identity else "-"]
    return [sys.executable, "-I", "-S", str(LAUNCHER), *first, *command]


def popen_arguments(spec: ProcessSpec) -> dict[str, Any]:
    """Keyword arguments for `subprocess.Popen` and `asyncio.create_subprocess_exec`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    arguments: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stderr": subprocess.STDOUT,
        "env": {**inherited, **spec.environment},
        "cwd": spec.cwd,
        "start_new_session": True,
    }
    if spec.identity is not None and sys.platform != "linux":
        arguments |= {"user": spec.identity.uid, "group": spec.identity.gid, "extra_groups": []}
    return arguments


def open_log(directory: Path, name: str) -> IO[bytes]:
    """The log of process `name`, opened for appending; one over LOG_LIMIT is rotated first."""
    path = directory / f"{name}.log"
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{name}.log.1"))
    return path.open("ab")


def last_lines(directory: Path, name: str, count: int = 15) -> str:
    """The end of a process's log, for the error message if it did not start."""
    try:
        with (directory / f"{name}.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


def start(spec: ProcessSpec, logs: Path, *, timeout: float = 60.0) -> subprocess.Popen[bytes]:
    """Start one process and wait until it serves, without a supervisor.

    Raises `ProcessFailedError`, with the end of its log, if it exits or does not serve within `timeout` seconds.
    """
    spec.prepare()
    with open_log(logs, spec.name) as log:
        process = subprocess.Popen(launch_command(spec), stdout=log, **popen_arguments(spec))
    deadline = time.monotonic() + timeout
    while True:
        try:
            spec.ready()
        except Exception as error:
            if process.poll() is not None:
                message = f"{spec.name} ended with {process.returncode} while starting:\n{last_lines(logs, spec.name)}"
                raise ProcessFailedError(message) from error
            if time.monotonic() > deadline:
                stop(spec, process)
                message = f"{spec.name} was not ready in {timeout:g} s ({error}):\n{last_lines(logs, spec.name)}"
                raise ProcessFailedError(message) from error
            time.sleep(POLL_SECONDS)
        else:
            return process


def stop(spec: ProcessSpec, process: subprocess.Popen[bytes]) -> int:
    """Send its stop signal, and SIGKILL after `grace_seconds`; returns the exit code."""
    if process.poll() is None:
        process.send_signal(spec.stop_signal)
        try:
            process.wait(spec.grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    code = process.wait()
    spec.cleanup()
    return code


@contextlib.contextmanager
def running(spec: ProcessSpec, logs: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs during a `with` block."""
    process = start(spec, logs)
    try:
        yield process
    finally:
        stop(spec, process)
