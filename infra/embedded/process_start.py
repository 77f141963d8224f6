"""When a process started, by a clock that nobody sets: with it, a process number that was given anew is recognised.

Linux keeps that moment as time since the boot. Reckoned from it, the time of day moves by an hour when the machine's
clock is put forward by an hour, and every process of a set would pass for another one.
"""

from pathlib import Path

import msgspec
import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SAME_START_SECONDS = 2.0
"""What is recorded and what is read later may differ by so much: the boot's time of day has whole seconds."""


class ProcessStart(msgspec.Struct, frozen=True):
    boot: str
    """The boot that `seconds` are since; empty on systems that record the time of day when a process starts."""
    seconds: float

    def is_of(self, process: psutil.Process) -> bool:
        """Whether this process started then. Raises `psutil.Error`."""
        other = start_of(process)
        return self.boot == other.boot and abs(self.seconds - other.seconds) < SAME_START_SECONDS

    def is_before(self, process: psutil.Process) -> bool:
        """Whether this process started later, or at the same time. Raises `psutil.Error`."""
        other = start_of(process)
        return self.boot == other.boot and other.seconds > self.seconds - SAME_START_SECONDS


def start_of(process: psutil.Process) -> ProcessStart:
    """Raises `psutil.Error`. Takes a `Process` just made: one that is kept remembers a time of day."""
    created = process.create_time()
    if not BOOT_ID.exists():
        return ProcessStart("", created)
    return ProcessStart(BOOT_ID.read_text().strip(), created - psutil.boot_time())


def start_of_pid(pid: int) -> ProcessStart | None:
    """None when it is gone."""
    try:
        return start_of(psutil.Process(pid))
    except (psutil.Error, OSError):
        return None
