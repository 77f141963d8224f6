"""Computations of which some take long: these run in a thread, and the short ones at once.

A thread needs the interpreter's lock, which the event loop gives up after 5 ms at the earliest, and takes it from the
loop for as long. So under load, each short computation in a thread delays its request, and everything else, by that.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from shared.contracts.sizes import KIB, encoded_size

SMALL_DATA = 16 * KIB
"""Bytes of a GenerationInput that is read, and of which a generation is planned, in about a millisecond."""
FEW_STEPS = 16
"""Steps of all generations that a request for such a collection may have to be planned at once."""

T = TypeVar("T")


def is_small(data: dict[str, Any]) -> bool:
    """Whether a GenerationInput is read at once."""
    return encoded_size(data) <= SMALL_DATA


async def compute(call: Callable[[], T], *, at_once: bool) -> T:
    """What `call` returns: called in the event loop, or in a thread."""
    return call() if at_once else await asyncio.to_thread(call)
