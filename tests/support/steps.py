"""Counting the steps that a piece of work takes: the same on any machine, and under any load."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(work: Callable[[], Any]) -> int:
    """Lines of Python that were run, and calls of functions in C. Work within one such call is not seen."""
    count = 0

    def line(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "c_call"

    tracing, profiling = sys.gettrace(), sys.getprofile()
    sys.setprofile(call)
    sys.settrace(line)
    try:
        work()
    finally:
        sys.settrace(tracing)
        sys.setprofile(profiling)
    return count


def growth(make: Callable[[int], Callable[[], Any]], size: int) -> float:
    """How many times the steps become when the input is doubled, apart from those that any input takes."""
    make(1)()  # what is imported or compiled at the first use is no part of it
    smallest, single, double = (steps(make(each)) for each in (1, size, 2 * size))
    return (double - smallest) / max(1, single - smallest)
