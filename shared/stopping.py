"""Tasks that are stopped have ended: one guarantee for everything that starts tasks.

Whatever happens to who awaits a function of this module (it may be cancelled, several times), no task that the function
was given, or has started, goes on behind its back. What a lease protects may therefore be given up when they return.

Cancelling once is not enough: in Python 3.11 `asyncio.wait_for`, which the NATS client leans on, loses a cancellation
that comes in the very moment in which what it waits for is done; nats-py drops some of its own accord, and so does
psycopg_pool when it comes while a connection is handed out or taken back. `asyncio.TaskGroup` cancels its tasks once,
and then waits for them for ever: use `Group`.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import structlog

PATIENCE = 2.0
"""Seconds that a task gets to end after it was cancelled, before it is cancelled again: longer than it takes to close a
connection, which must not be broken off."""
SAY_AFTER = 5
"""A task that has been cancelled so often is worth a line in the log."""

T = TypeVar("T")

log = structlog.get_logger()


class EndedError(RuntimeError):
    """A loop that never ends has ended."""


async def stop(*tasks: "asyncio.Future[Any]") -> None:
    """Cancels tasks until they have ended; what they raise is dropped. Cancelled itself, it sees their end first."""
    cancelled: asyncio.CancelledError | None = None
    times = 0
    while pending := [task for task in tasks if not task.done()]:
        times += 1
        if times % SAY_AFTER == 0:
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
    """A TaskGroup whose tasks are cancelled until they have ended, once it is to end: they are cancelled again."""

    def __init__(self) -> None:
        super().__init__()
        self._running: set[asyncio.Task[Any]] = set()
        self._is_failed = False

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        task = super().create_task(coro, name=name, context=context)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        insisting = asyncio.ensure_future(self._insist(asyncio.current_task(), is_ending=error is not None))
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            insisting.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._is_failed = self._is_failed or (not task.cancelled() and task.exception() is not None)

    async def _insist(self, parent: "asyncio.Task[Any] | None", *, is_ending: bool) -> None:
        times = 0
        while True:
            await asyncio.sleep(PATIENCE)
            if not (is_ending or self._is_failed or (parent and parent.cancelling())):
                continue
            times += 1
            if times % SAY_AFTER == 0:
                log.warning("tasks_do_not_stop", tasks=[str(task) for task in self._running], cancelled=times)
            for task in list(self._running):
                task.cancel()


async def stoppable(work: Coroutine[None, None, T]) -> T:
    """Awaits work that may lose a cancellation, and sees to it that it ends when we are cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        await stop(task)


async def unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Runs `work` until it ends, or stops it when the event comes."""
    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        await stop(task, watch)


async def together(*loops: Coroutine[None, None, object]) -> NoReturn:
    """Runs loops that never end, until cancelled. The first that ends, however it does, ends all, and it is said which.

    A task group would notice one that raises, and go on without one that returned, or lost its way out of a
    cancellation: a process that looks well, and has stopped doing something.
    """
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    names = [getattr(loop, "__qualname__", repr(loop)) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        name, ended = next((name, task) for name, task in zip(names, tasks, strict=True) if task in done)
        error = None if ended.cancelled() else ended.exception()
        if error is not None:
            raise error
        raise EndedError(f"{name} ended, though nobody stopped it")
    finally:
        await stop(*tasks)
