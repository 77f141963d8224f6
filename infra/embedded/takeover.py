"""A folder belongs to one supervisor at a time, and what a killed one has left running is ended before the next."""

import fcntl
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import psutil

from infra.embedded.errors import SetError
from infra.embedded.process_start import ProcessStart
from infra.embedded.set_file import ProcessInfo

LOCK_FILE = "lock"
PATIENCE_SECONDS = 5.0
GLANCES = 5
GLANCE_SECONDS = 0.05
"""`is_held` takes the lock for an instant to see whether it can: that is not a second supervisor."""


class SetInUseError(SetError):
    """Another supervisor holds the folder."""


def hold(data: Path) -> IO[str]:
    """Take the folder for as long as the returned file is open; a killed holder loses it. Raises `SetInUseError`."""
    lock = (data / LOCK_FILE).open("a+")
    for attempt in range(GLANCES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt + 1 < GLANCES:
                time.sleep(GLANCE_SECONDS)
                continue
            lock.seek(0)
            holder = lock.read().strip() or "?"
            lock.close()
            raise SetInUseError(
                f"A set already runs on {data} (pid {holder}). Stop it first (kill {holder}), or give another --data."
            ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def is_held(data: Path) -> bool:
    """Whether a supervisor runs on the folder."""
    return holder_of(data) is not None


def holder_of(data: Path) -> int | None:
    """The supervisor that runs on the folder; None when none does. 0 for one that has not written its number yet."""
    try:
        with (data / LOCK_FILE).open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                number = lock.read().strip()
                return int(number) if number.isdecimal() else 0
    except FileNotFoundError:
        pass
    return None


def end_leftovers(recorded: Iterable[ProcessInfo]) -> list[str]:
    """End the recorded processes that still run, and return their names. Numbers given to others are left alone."""
    infos = [info for info in recorded if info.pid is not None and info.start is not None]
    found = {process: info.name for info in infos for process in _still_running(info)}
    for process, name in found.items():
        # PostgreSQL takes SIGQUIT for "at once", and SIGTERM for "when all clients have gone".
        _signal(process, signal.SIGQUIT if name == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(list(found), timeout=PATIENCE_SECONDS)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=PATIENCE_SECONDS)
    return sorted(set(found.values()))


def _still_running(info: ProcessInfo) -> list[psutil.Process]:
    """The process with its children; or, when it has gone itself, what it has left of its process group.

    A number may have been given to a stranger since, as a process or as a group: start and program tell them apart.
    """
    assert info.pid is not None
    assert info.start is not None
    try:
        process = psutil.Process(info.pid)
        if info.start.is_of(process) and _runs(process, info.program):
            return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [each for each in psutil.process_iter() if _was_left_by(info.pid, info.start, info.program, each)]
    except psutil.Error:
        pass
    return []


def _was_left_by(group: int, leader: ProcessStart, program: str, process: psutil.Process) -> bool:
    try:
        in_group = os.getpgid(process.pid) == group and leader.is_before(process)
        return in_group and _runs(process, program)
    except (psutil.Error, ProcessLookupError):
        return False


def _runs(process: psutil.Process, program: str) -> bool:
    return program in process.cmdline()  # not as the first word while it is being launched


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
