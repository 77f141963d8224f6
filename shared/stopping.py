"""Stopping tasks: when a function of this module returns or raises, the tasks passed to it or started by it have ended.

That holds even if its caller is cancelled, several times. So a lease may be released afterwards.

Cancelling once is not enough: in Python 3.11 `asyncio.wait_for`, which the NATS client uses, loses a cancellation that
arrives in the moment in which the awaited task is done; nats-py itself swallows some, and so does psycopg_pool while it
lends or takes back a connection. `asyncio.TaskGroup` cancels its tasks once, then waits for them without a bound; and
it continues without a task that was cancelled alone: use `Group` instead.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import structlog

PATIENCE = 2.0
"""Seconds after which a task that was cancelled and has not ended is cancelled again. Longer than closing a connection
takes, which must not be interrupted."""
LOG_AFTER = 5
"""Cancellations of a task after which it is logged."""

T = TypeVar("T")

log = structlog.get_logger()


class EndedError(RuntimeError):
    """A loop that should run until it is cancelled has ended."""


async def stop(*tasks: "asyncio.Future[Any]") -> None:
    """Cancels tasks until they have ended, and discards their errors. Cancelled itself, it raises only after that."""
    cancelled: asyncio.CancelledError | None = None
    times = 0
    while pending := [task for task in tasks if not task.done()]:
        times += 1
        if times % LOG_AFTER == 0:
            log.warning("tasks_do_not_stop", tasks=[str(task) for task in pending], cancelled=times)
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


class Group(asyncio.TaskGroup):
    """A TaskGroup that cancels its tasks repeatedly until they have ended.

    A task that is cancelled alone, for example because it awaited a cancelled future, ends the group with an EndedError
    that names it: otherwise its work would be missing without a sign.
    """

    def __init__(self) -> None:
        super().__init__()
        self._running: set[asyncio.Task[Any]] = set()
        self._parent: asyncio.Task[Any] | None = None
        self._is_to_end = False
        self._is_at_exit = False
        self._lost: EndedError | None = None
        """The error for the last task, when no task is left that could raise it."""

    async def __aenter__(self) -> Self:
        self._parent = asyncio.current_task()
        return await super().__aenter__()

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """As `TaskGroup.create_task`; the group notices when the task is cancelled alone."""
        task = super().create_task(coro, name=name, context=context)
        self._running.add(task)
        task.add_done_callback(partial(self._ended, getattr(coro, "__qualname__", repr(coro))))
        return task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_at_exit, self._is_to_end = True, self._is_to_end or error is not None
        canceller = asyncio.ensure_future(self._cancel_repeatedly())
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            canceller.cancel()
        if self._lost:
            raise ExceptionGroup("a task was cancelled alone", [self._lost])

    def _ends(self) -> bool:
        """Whether its tasks are to be cancelled: one has failed, or the group itself was cancelled."""
        return self._is_to_end or (self._parent is not None and self._parent.cancelling() > 0)

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            self._is_to_end = self._is_to_end or task.exception() is not None
        elif not self._ends():
            self._is_to_end = True
            lost = EndedError(f"{name} was cancelled, but should run until it is stopped")
            if self._is_at_exit and not self._running:
                self._lost = lost
            else:
                super().create_task(_raise(lost))

    async def _cancel_repeatedly(self) -> None:
        times = 0
        while True:
            await asyncio.sleep(PATIENCE)
            if not self._ends():
                continue
            times += 1
            if times % LOG_AFTER == 0:
                log.warning("tasks_do_not_stop", tasks=[str(task) for task in self._running], cancelled=times)
            for task in list(self._running):
                task.cancel()


async def _raise(error: Exception) -> NoReturn:
    """Ends a TaskGroup as a task of it."""
    raise error


async def stoppable(work: Coroutine[None, None, T]) -> T:
    """Awaits work that may lose a cancellation. When the caller is cancelled, this raises once the work has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        await stop(task)


async def run_until(event: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Runs `work` until it ends, or until the event is set, which stops it. Raises what `work` raises."""
    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        await stop(task, watch)


async def run_together(*loops: Coroutine[None, None, object]) -> NoReturn:
    """Runs endless loops until cancelled. When one ends, stops all; raises its error, or EndedError with its name.

    A task group would continue without a loop that returned, and nothing would show that its work is missing.
    """
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    names = [getattr(loop, "__qualname__", repr(loop)) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        name, ended = next((name, task) for name, task in zip(names, tasks, strict=True) if task in done)
        error = None if ended.cancelled() else ended.exception()
        if error is not None:
            raise error
        raise EndedError(f"{name} ended, but should run until it is stopped")
    finally:
        await stop(*tasks)
