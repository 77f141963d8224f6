"""A clock that steps beneath a running process, while the machine's own stays as it is: libfaketime, preloaded.

Only the wall clock steps. The monotonic clock goes on, as it does when an operator or NTP sets a machine's time.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path


def _library() -> Path:
    found = importlib.util.find_spec("libfaketime")  # the file is all that is wanted, not the package's own patches
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


class SteppedClock:
    """The clock of whatever processes are started with `environment`; `step` moves it while they run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(timedelta(0))

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    @contextlib.contextmanager
    def off_by(self, offset: timedelta) -> Iterator[None]:
        """Steps it for the length of a `with` block, and back again at its end."""
        self.step(offset)
        try:
            yield
        finally:
            self.step(timedelta(0))

    def step(self, offset: timedelta) -> None:
        """From now on their clock is off by so much from the machine's; no step is ever seen half."""
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(f"{offset.total_seconds():+.0f}")
        unfinished.replace(self._file)
