"""Tasks of the running loop, by what they run."""

import asyncio


def cancel_alone(name: str) -> None:
    """Cancels the one task that runs the coroutine of this qualified name, and nothing that awaits it or stands by it.

    That happens where a library cancels a future that a task awaits: nobody has stopped the task.
    """
    [task] = [each for each in asyncio.all_tasks() if getattr(each.get_coro(), "__qualname__", "") == name]
    task.cancel()
