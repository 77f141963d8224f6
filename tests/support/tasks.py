"""Finds tasks of the running loop by their coroutines."""

import asyncio
from typing import Any


def running(name: str) -> list[asyncio.Task[Any]]:
    """The tasks that run the coroutine of this qualified name."""
    return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == name]


def cancel_alone(name: str) -> None:
    """Cancels the one task that runs the coroutine of this qualified name, but no task that awaits it.

    As when a library cancels a future that a task awaits, while the task itself is not stopped.
    """
    [task] = running(name)
    task.cancel()
