"""Work on many small objects, with fewer visits of Python's garbage collector to them."""

import contextlib
import gc
from collections.abc import Iterator

SELDOM = (50_000, 20, 20)
"""Python's own is (700, 10, 10): with that, a third of a rebuild's time is the collector's, which finds nothing:
events and rows refer to nothing in circles. Circles of other code wait for as many allocations."""

SERVING = (10_000, 20, 20)
"""Of a service. A step of a job, or a creation, makes some hundred objects that live until it is recorded and
published. At Python's own thresholds, generation spent 14 % of its time on looking through those and through its states
again and again, 47 ms at once when it visited everything. See decision 35."""

_depth = 0
_before = (0, 0, 0)


@contextlib.contextmanager
def collected_seldom() -> Iterator[None]:
    """For a block that makes and drops many objects. Blocks may overlap: the last one restores what was set before."""
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
    """For the life of a process that serves: see SERVING."""
    gc.set_threshold(*SERVING)
