"""Core tasks: when the first of them ends, the process ends, and its supervisor starts it again.

Otherwise the process would seem healthy without the work of that task.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import structlog

END_SECONDS = 15.0
"""Seconds for an orderly shutdown; then the process exits at once."""
EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h."""

log = structlog.get_logger()


class CoreTaskEnded(RuntimeError):  # noqa: N818 - what happened, and to which
    """A core task ended, but should run until it is stopped."""


async def until_one_ends(tasks: "Mapping[str, asyncio.Task[Any]]") -> NoReturn:
    """Waits until one of the tasks ends, for whatever reason, and raises CoreTaskEnded. Stops none of them."""
    done, _ = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    name, task = next((name, task) for name, task in tasks.items() if task in done)
    error = None if task.cancelled() else task.exception()
    how = f"raised {error!r}" if error else "was cancelled" if task.cancelled() else "returned"
    log.critical("core_task_ended", task=name, how=how, exc_info=error)
    raise CoreTaskEnded(f"{name} {how}, but should run until it is stopped") from error


def exit_after_timeout() -> None:
    """Exits the process after END_SECONDS, even if something hangs."""
    timer = threading.Timer(END_SECONDS, os._exit, (EXIT_CODE,))
    timer.daemon = True
    timer.start()


def end_process(core: "asyncio.Task[NoReturn]") -> None:
    """A callback of `until_one_ends` for a process whose server stops by SIGTERM only."""
    if not core.cancelled():
        core.exception()  # logged already
        exit_after_timeout()
        signal.raise_signal(signal.SIGTERM)
