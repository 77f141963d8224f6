"""The time of an attempt: it stands still while the attempt waits for a server that is busy."""

import asyncio
import contextlib
from collections.abc import Iterator

from shared.contracts.work import WAIT_SHARE


class Deadline:
    """Ends `seconds` from now, later by what does not count: WAIT_SHARE of them at most."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + seconds
        self._room = max(0.0, seconds * WAIT_SHARE)
        """Seconds of waiting that still don't count."""
        self._waits_since: float | None = None

    @property
    def seconds_left(self) -> float:
        """Until its end; 0 when that has passed."""
        return max(0.0, self._ends + self._uncounted() - self._loop.time())

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Time within the block does not count, as long as there is room. Blocks may be nested."""
        if self._waits_since is not None:
            yield
            return
        self._waits_since = self._loop.time()
        try:
            yield
        finally:
            waited = self._uncounted()
            self._ends += waited
            self._room -= waited
            self._waits_since = None

    def _uncounted(self) -> float:
        """Seconds of the present wait that don't count."""
        return 0.0 if self._waits_since is None else min(self._loop.time() - self._waits_since, self._room)
