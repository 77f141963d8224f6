"""Stopping tasks for certain."""

import asyncio
from typing import Any

PATIENCE = 2.0
"""Seconds that a task gets to end after it was cancelled, before it is cancelled again."""


async def stop(*tasks: "asyncio.Task[Any]") -> None:
    """Cancels tasks until they have ended; what they raise is dropped.

    Once is not enough: in Python 3.11 `asyncio.wait_for`, which the NATS client leans on, loses a cancellation that
    comes in the very moment in which what it waits for is done. Cancelled itself, it still sees the tasks' end first.
    """
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=PATIENCE)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()
    if cancelled is not None:
        raise cancelled
