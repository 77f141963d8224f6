"""Steps the clock of running processes, but not the machine's, with libfaketime (LD_PRELOAD).

Only the wall clock steps. The monotonic clock does not, as when an operator or NTP sets a machine's time.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path


def _library() -> Path:
    spec = importlib.util.find_spec("libfaketime")  # only for the library's path: importing the package patches things
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


class SteppedClock:
    """The clock of all processes started with `environment`; `step` moves it while they run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(timedelta(0))

    @property
    def environment(self) -> dict[str, str]:
        library = _library()
        # By its name: LD_PRELOAD separates paths by spaces, and so cannot name a file in a folder whose name has one.
        return {
            "LD_PRELOAD": library.name,
            "LD_LIBRARY_PATH": str(library.parent),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    @contextlib.contextmanager
    def off_by(self, offset: timedelta) -> Iterator[None]:
        """Steps the clock by `offset` for the length of a `with` block."""
        self.step(offset)
        try:
            yield
        finally:
            self.step(timedelta(0))

    def step(self, offset: timedelta) -> None:
        """Sets the clock's offset from the machine's, atomically."""
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(f"{offset.total_seconds():+.0f}")
        unfinished.replace(self._file)
