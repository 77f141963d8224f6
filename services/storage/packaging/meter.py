"""Counts what a build has done, records it now and then, and stops the build between two pieces."""

import time
from collections.abc import Awaitable, Callable

import msgspec

from services.storage.domain.package import Count
from shared.contracts.storage import BuildPhase

NOTE_EVERY = 2.0
"""Least seconds between two records of the progress, and before the first."""
SHARE = 100
"""At most so many records in a phase for its bytes, and as many for its files."""


class Stopped(Exception):  # noqa: N818 - names the condition
    """The build was cancelled."""


class Meter:
    """The progress of one build. `note` records it; `is_cancelled` asks the database whether the build is to stop.

    `clock` is in seconds, and never goes back.
    """

    def __init__(
        self,
        note: Callable[[Count], Awaitable[None]],
        is_cancelled: Callable[[], Awaitable[bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note, self._is_cancelled, self._clock = note, is_cancelled, clock
        self.is_stopped = False
        """Set it to end the build at its next piece."""
        self.count = self._noted = Count("checking", 0, 0, 0, 0)
        self._noted_at = clock()

    def begin(self, phase: BuildPhase, of: int, size: int) -> None:
        """Begins a phase of so many files, and bytes of them."""
        self.count = self._noted = Count(phase, 0, of, 0, size)

    async def pass_bytes(self, size: int) -> None:
        """Counts bytes of a file, which may be 0. Raises Stopped."""
        if self.is_stopped:
            raise Stopped
        count, noted = msgspec.structs.replace(self.count, bytes=self.count.bytes + size), self._noted
        self.count = count
        now = self._clock()
        if now - self._noted_at < NOTE_EVERY:
            return
        is_further = (count.bytes - noted.bytes) * SHARE >= max(1, count.size)
        if is_further or (count.files - noted.files) * SHARE >= max(1, count.of):
            self._noted_at, self._noted = now, count
            await self._note(count)

    def end_file(self) -> None:
        """Counts a file as done."""
        self.count = msgspec.structs.replace(self.count, files=self.count.files + 1)

    async def last_chance(self) -> None:
        """Raises Stopped if the build is cancelled by now. Later it can't be stopped: its file becomes visible."""
        if self.is_stopped or await self._is_cancelled():
            raise Stopped
