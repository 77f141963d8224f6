"""The lock on a set's folder, for one supervisor at a time, and the end of processes that a killed one has left."""

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
END_SECONDS = 5.0
"""Seconds that leftover processes have to end after their signal, and again after SIGKILL."""
LOCK_ATTEMPTS = 5
LOCK_RETRY_SECONDS = 0.05
"""`holder_of` takes a shared lock for an instant: several attempts tell that from another supervisor."""


class SetInUseError(SetError):
    """Another supervisor runs on the folder."""


def hold(data: Path) -> IO[str]:
    """Lock the folder while the returned file is open, or until we end. Raises `SetInUseError`."""
    lock = (data / LOCK_FILE).open("a+")
    for attempt in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt + 1 < LOCK_ATTEMPTS:
                time.sleep(LOCK_RETRY_SECONDS)
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
    """The pid of the supervisor that runs on the folder; None if none does; 0 if it has not written its pid yet."""
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
    """End the recorded processes that still run, and return their names. Other processes with reused pids are kept."""
    infos = [info for info in recorded if info.pid is not None and info.start is not None]
    leftovers = {process: info.name for info in infos for process in _still_running(info)}
    for process, name in leftovers.items():
        # PostgreSQL: SIGQUIT is an immediate shutdown, SIGTERM would wait for all clients to disconnect.
        _signal(process, signal.SIGQUIT if name == "postgres" else signal.SIGTERM)
    _, running = psutil.wait_procs(list(leftovers), timeout=END_SECONDS)
    for process in running:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(running, timeout=END_SECONDS)
    return sorted(set(leftovers.values()))


def _still_running(info: ProcessInfo) -> list[psutil.Process]:
    """The process and its children; if the process has ended, what is left of its process group.

    Both ids may have been reused by other processes: start time and program tell them apart.
    """
    assert info.pid is not None
    assert info.start is not None
    try:
        process = psutil.Process(info.pid)
        if info.start.is_of(process) and _runs(process, info.program):
            return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        group, start, program = info.pid, info.start, info.program
        return [process for process in psutil.process_iter() if _was_left_by(group, start, program, process)]
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
    # In any argument: while a process is being launched, it is `launch.py` with the program as an argument.
    return program in process.cmdline()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
