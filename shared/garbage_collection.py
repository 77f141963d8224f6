"""Settings of Python's garbage collector, for work on many small objects and for services."""

import contextlib
import gc
from collections.abc import Iterator

SELDOM = (50_000, 20, 20)
"""Thresholds of `gc`. With Python's default, (700, 10, 10), the collector takes a third of a rebuild's time and frees
nothing, since events and rows have no reference cycles. Cycles of other code are freed later."""

SERVING = (10_000, 20, 20)
"""Thresholds of a service. A step of a job, or a creation, allocates some hundred objects, which live until it is
recorded and published. With Python's default, generation spent 14 % of its time in the collector, and a full collection
took 47 ms. See decision 35."""

_depth = 0
_before = (0, 0, 0)


@contextlib.contextmanager
def collect_seldom() -> Iterator[None]:
    """Collects seldom during a block with many objects. Blocks may overlap: the last one restores the thresholds."""
    global _depth, _before  # noqa: PLW0603 - as the collector's thresholds are the process's
    if not _depth:
        _before = gc.get_threshold()
        gc.set_threshold(*SELDOM)
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            gc.set_threshold(*_before)


def collect_for_serving() -> None:
    """Sets the thresholds of a service, for the life of the process: see SERVING."""
    gc.set_threshold(*SERVING)
