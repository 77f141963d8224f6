"""Counts the steps or bytes that a function takes: the same on any machine, under any load."""

import sys
import tracemalloc
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, TypeVar

S = TypeVar("S")
E = TypeVar("E")


def steps(work: Callable[[], Any]) -> int:
    """Executed lines of Python, and calls of C functions; work within one C function does not count."""
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
    """The factor by which the steps grow when the input doubles, without the steps that any input takes."""
    make(1)()  # imports and compiles what the first use needs
    smallest, single, double = (steps(make(length)) for length in (1, size, 2 * size))
    return (double - smallest) / max(1, single - smallest)


def folding_bytes(evolve: Callable[[S, E], S], state: S, events: Iterable[E]) -> int:
    """The sum of bytes that a fold allocates at each event, including temporary copies."""
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
