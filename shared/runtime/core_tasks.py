"""The tasks that a process can't be without: the first that ends ends the process, which is then started anew.

A loop that has died unseen is worse than a process that has: everything looks well, and nothing gets done.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import structlog

END_SECONDS = 15.0
"""What ends in order has so long; then the process is ended as it is."""
EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h."""

log = structlog.get_logger()


class CoreTaskEnded(RuntimeError):  # noqa: N818 - what happened, and to which
    """One of the tasks ended though nobody stopped it."""


async def until_one_ends(tasks: "Mapping[str, asyncio.Task[Any]]") -> NoReturn:
    """Watches them until cancelled, and ends none. Raises `CoreTaskEnded`, however the first came to its end."""
    done, _ = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    name, task = next((name, task) for name, task in tasks.items() if task in done)
    error = None if task.cancelled() else task.exception()
    how = f"raised {error!r}" if error else "was cancelled" if task.cancelled() else "returned"
    log.critical("core_task_ended", task=name, how=how, exc_info=error)
    raise CoreTaskEnded(f"{name} {how}, though nobody stopped it") from error


def end_for_certain() -> None:
    """Ends the process after `END_SECONDS` even if what hangs keeps it from ending in order."""
    timer = threading.Timer(END_SECONDS, os._exit, (EXIT_CODE,))
    timer.daemon = True
    timer.start()


def end_process(core: "asyncio.Task[NoReturn]") -> None:
    """A callback of `until_one_ends` for a process whose server stops by SIGTERM only."""
    if not core.cancelled():
        core.exception()  # it has been told
        end_for_certain()
        signal.raise_signal(signal.SIGTERM)
