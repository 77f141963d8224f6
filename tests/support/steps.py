"""Counting what a piece of work takes, steps or bytes: the same on any machine, and under any load."""

import sys
import tracemalloc
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, TypeVar

S = TypeVar("S")
E = TypeVar("E")


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


def folding_bytes(evolve: Callable[[S, E], S], state: S, events: Iterable[E]) -> int:
    """The bytes that each event makes a fold allocate, in all: also those of copies that are made within one call."""
    count = 0
    tracemalloc.start()
    try:
        for event in events:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            state = evolve(state, event)
            count += tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return count
