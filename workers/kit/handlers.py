"""Handlers: functions that do the work of a step, coroutines or plain functions, and what they return."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import msgspec

from shared.contracts.generation import Output
from workers.kit.faults import permanent
from workers.kit.files import File, Json
from workers.kit.step import BlockingStep, Step

T = TypeVar("T")
Result = str | File | Json | Output
Returned = Result | Sequence[Result]
"""A text, a file to upload, a JSON value, an Output that `upload` has returned; or several of them, in order."""
AsyncHandler = Callable[[Step], Awaitable[Returned]]
BlockingHandler = Callable[[BlockingStep], Returned]


@dataclass(frozen=True)
class Handler:
    """A registered handler. `kind`: `direct_job.sketch`."""

    kind: str
    function: AsyncHandler | BlockingHandler
    is_async: bool

    @property
    def service(self) -> str:
        """The kind's second part."""
        return self.kind.partition(".")[2]

    @classmethod
    def of(cls, kind: str, function: AsyncHandler | BlockingHandler) -> "Handler":
        """A coroutine function, or an object whose `__call__` is one, is awaited; any other runs in a thread."""
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
        return cls(kind, function, is_async)


class Call:
    """One call of a handler, with the uploads of what it returns."""

    def __init__(self, handler: Handler, step: Step) -> None:
        self._handler, self._step = handler, step
        self._thread: asyncio.Future[Returned] | None = None

    async def outputs(self) -> list[Output]:
        """The step's outputs. Raises StepFault, and whatever the handler raises.

        Cancelled, it ends at once, also when a thread goes on: see `busy`.
        """
        if self._handler.is_async:
            returned = await cast("AsyncHandler", self._handler.function)(self._step)
        else:
            function = cast("BlockingHandler", self._handler.function)
            blocking = BlockingStep(self._step, asyncio.get_running_loop())
            self._thread = in_thread(lambda: function(blocking))
            returned = await asyncio.shield(self._thread)
        return [await self._output(result) for result in _sequence(returned)]

    @property
    def busy(self) -> "asyncio.Future[Returned] | None":
        """The thread of a plain function that has not returned yet."""
        return None if self._thread is None or self._thread.done() else self._thread

    async def _output(self, result: object) -> Output:
        match result:
            case Output():
                return result
            case str():
                return Output(kind="text", text=result)
            case File():
                return await self._step.upload(result)
            case Json():
                try:
                    msgspec.json.encode(result.value)
                except (TypeError, ValueError) as error:
                    raise permanent("WORKER_FAULT", f"The worker returned a value that is not JSON: {error}") from error
                return Output(kind="json", json=result.value)
        raise permanent(
            "WORKER_FAULT", f"The worker returned {type(result).__name__} instead of a str, File, Json or Output"
        )


def _sequence(returned: object) -> Sequence[object]:
    return returned if isinstance(returned, Sequence) and not isinstance(returned, str | bytes) else [returned]


def in_thread(call: Callable[[], T]) -> "asyncio.Future[T]":
    """Runs a function that blocks in a thread of its own, which does not keep the process from ending.

    Not in an executor: at the end of the process, Python waits for the threads of executors.
    """
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting task raises it
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    future = asyncio.wrap_future(outcome)
    # Marks the exception as retrieved: the loop would report it when no task awaits the future any more.
    future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
    return future
