"""Measures how long a callback blocks the event loop, in function calls: the same on any machine, under any load."""

import asyncio
import sys
import threading
import traceback
from types import FrameType
from typing import Any, Self

RUN = asyncio.Handle._run.__code__
"""Called at the begin of each callback of the loop."""


class LoopSteps:
    """The number of calls of the longest callback in this thread's event loop during a `with` block, and its stack.

    Calls of Python and C functions count; work within one C function does not.
    """

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self.longest = 0
        self.where = ""
        """The stack of the first callback that made more than `most` calls, at that moment."""

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
