"""Runs several blocking calls at once, with one time limit for all."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def run_all(calls: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T]:
    """The results that came within `seconds`, by name. A call that raises has none: threading.excepthook reports it.

    Daemon threads instead of a pool: Python waits for a pool's threads at exit, and one may hang in a system call.
    """
    results: dict[str, T] = {}

    def run(name: str, call: Callable[[], T]) -> None:
        results[name] = call()

    threads = [threading.Thread(target=run, args=(name, call), name=name, daemon=True) for name, call in calls.items()]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(results)
