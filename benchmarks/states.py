"""How each aggregate's fold and state grow with its history: `python -m benchmarks.states [NAME…]`.

CPU time of this process, for a history and for one of twice its size, so it can be read on a busy machine.
"""

import gc
import sys
from time import process_time

from rich.console import Console
from rich.table import Table

from shared.eventstore.decider import encode_state
from tests.support.histories import LIVES, Life, folded

GROWN = 10
"""Factor on the size at which the tests count steps and bytes."""


def measure(life: Life, size: int) -> tuple[int, float, int]:
    """Events, microseconds of each in a fold, bytes of the state."""
    events = life.events(size)
    gc.collect()
    gc.disable()  # it visits all events of the history again and again, and would count as their fold
    try:
        began = process_time()
        state = folded(life.decider, events)
        seconds = process_time() - began
    finally:
        gc.enable()
    return len(events), seconds / len(events) * 1e6, len(encode_state(state))


def main() -> None:
    table = Table("aggregate", "size", "events", "µs per event", "state, bytes", "twice: µs", "bytes")
    for name, life in LIVES.items():
        if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
            continue
        size = life.size * GROWN
        measure(life, life.size)
        once, twice = measure(life, size), measure(life, 2 * size)
        table.add_row(
            name,
            f"{size:,}",
            f"{once[0]:,}",
            f"{once[1]:.1f}",
            f"{once[2]:,}",
            f"{twice[1]:.1f}",
            f"{twice[2]:,}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
