"""The results of a benchmark, and the machine that it ran on."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One row: a measured value beside that of its peer.

    `ratio` is value/peer; it must be at least `least` and at most `most`, where they are set. `limit` is an absolute
    upper bound on the value.
    """

    id: str
    what: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    least: float | None = None
    limit: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def holds(self) -> bool:
        """Whether the target is met; a figure without a target always is."""
        if self.limit is not None and self.value > self.limit:
            return False
        if self.least is not None and (self.ratio is None or self.ratio < self.least):
            return False
        return self.most is None or (self.ratio is not None and self.ratio <= self.most)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> dict[str, str]:
    """The machine on which the figures depend: processor, cores, memory, system, version of Python."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith(("model name", "Hardware"))
        ),
        platform.processor() or platform.machine(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory) / 1024 / 1024:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def resident_mib() -> float:
    """This process's resident memory now."""
    pages = int(next(iter(_lines("/proc/self/statm")), "0 0").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


class Failure(msgspec.Struct, frozen=True):
    """A row that failed before it had all its figures."""

    row: str
    error: str
