"""How long the event loop is held by one piece of work, counted in steps: the same on any machine, under any load."""

import asyncio
import sys
import threading
import traceback
from types import FrameType
from typing import Any, Self

RUN = asyncio.Handle._run.__code__
"""Where each turn of the loop begins."""


class LoopSteps:
    """For the length of a `with` block: calls made by the longest turn of this thread's event loop, and from where.

    Calls of functions in Python and in C count. What one call does in C is not seen.
    """

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self.longest = 0
        self.where = ""
        """Where the first turn was that made more than `most` calls, at that moment."""

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code is RUN:
            self._count = 0
        elif event in {"call", "c_call"}:
            self._count += 1
            self.longest = max(self.longest, self._count)
            if self._count == self._most + 1 and not self.where:
                self.where = "".join(traceback.format_stack(frame, limit=12))

    def assert_short(self) -> None:
        assert self.longest <= self._most, f"{self.longest} calls in one turn of the event loop, from\n{self.where}"
