"""When a process started, by a clock that is never set: identifies a process when its pid may have been reused.

Linux keeps the start as time since boot. psutil's time of day is computed from it: if the machine's clock is set
forward by an hour, it moves by an hour too, and every process of a set would be taken for another one.
"""

from pathlib import Path

import msgspec
import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SAME_START_SECONDS = 2.0
"""Two readings of one start may differ by this much: the boot's time of day is in whole seconds."""


class ProcessStart(msgspec.Struct, frozen=True):
    boot: str
    """The id of the current boot; empty on systems that record the time of day when a process starts."""
    seconds: float
    """Since that boot; without a boot id, since 1970."""

    def is_of(self, process: psutil.Process) -> bool:
        """Whether this is the start of `process`. Raises `psutil.Error`."""
        other = start_of(process)
        return self.boot == other.boot and abs(self.seconds - other.seconds) < SAME_START_SECONDS

    def is_before(self, process: psutil.Process) -> bool:
        """Whether `process` started at this time or later. Raises `psutil.Error`."""
        other = start_of(process)
        return self.boot == other.boot and other.seconds > self.seconds - SAME_START_SECONDS


def start_of(process: psutil.Process) -> ProcessStart:
    """The start of a process. Raises `psutil.Error`. Pass a new `Process`: an older one has cached its time of day."""
    created = process.create_time()
    if not BOOT_ID.exists():
        return ProcessStart("", created)
    return ProcessStart(BOOT_ID.read_text().strip(), created - psutil.boot_time())


def start_of_pid(pid: int) -> ProcessStart | None:
    """The start of the process with this pid; None if there is none."""
    try:
        return start_of(psutil.Process(pid))
    except (psutil.Error, OSError):
        return None
