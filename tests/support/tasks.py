"""Tasks of the running loop, by what they run."""

import asyncio
from typing import Any


def running(name: str) -> list[asyncio.Task[Any]]:
    """The tasks that run the coroutine of this qualified name."""
    return [each for each in asyncio.all_tasks() if getattr(each.get_coro(), "__qualname__", "") == name]


def cancel_alone(name: str) -> None:
    """Cancels the one task that runs the coroutine of this qualified name, and nothing that awaits it or stands by it.

    That happens where a library cancels a future that a task awaits: nobody has stopped the task.
    """
    [task] = running(name)
    task.cancel()
