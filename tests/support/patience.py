"""How tests wait for conditions that another task, process or server brings about."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

from shared.contracts.problem import Problem
from shared.eventstore import StoreUnavailable
from shared.http.positions import LAG_POINTER
from shared.http.problems import NOTHING_DONE

T = TypeVar("T")

PATIENCE = 100.0
"""Seconds. Conditions are met in a fraction of one, or a few on a busy machine. The bound ends a test that would hang,
before pytest's own timeout, so that the test can report what it waited for."""
POLL_SECONDS = 0.02
MOST_TASKS = 40
"""Tasks whose places a failure names."""


class NotYet(Exception):  # noqa: N818 - a state, not an error
    """Raised by a condition that is not met yet, to report the current state."""


async def until_done(command: Callable[[], Awaitable[T]]) -> T:
    """The result of a command that others contend with, repeated as a client repeats it until it is done in time.

    On a busy machine, the conflicts of many commands on one stream may last longer than a command may take.
    """
    while True:
        try:
            return await command()
        except StoreUnavailable as error:
            if error.maybe_done:
                raise
        except Problem as problem:
            if problem.code != "VERSION_CONFLICT":
                raise


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]],
    what: str,
    *,
    within: float = PATIENCE,
    passing: tuple[type[Exception], ...] = (),
    every: float = POLL_SECONDS,
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T | None],
    what: str,
    *,
    within: float = PATIENCE,
    passing: tuple[type[Exception], ...] = (),
    every: float = POLL_SECONDS,
) -> T: ...


async def eventually(
    condition: Callable[[], Any],
    what: str,
    *,
    within: float = PATIENCE,
    passing: tuple[type[Exception], ...] = (),
    every: float = POLL_SECONDS,
) -> Any:
    """The first true value of `condition`, a function, async or not, which is called every `every` seconds.

    NotYet and errors of the types in `passing` count as "not yet"; any other error is raised. Raises AssertionError
    after `within` seconds, with `what`, the last result or error, and what each other task waits for.
    """
    last: object = None
    not_yet = (NotYet, *passing)
    bound = asyncio.timeout(within)
    try:
        async with bound:
            while True:
                try:
                    value = condition()
                    if isawaitable(value):
                        value = await value
                    if value:
                        return value
                    last = value
                except not_yet as error:
                    last = error
                await asyncio.sleep(every)
    except TimeoutError:
        if not bound.expired():
            raise
        failure = f"{what}: not within {within:g} s; the last attempt gave {last!r}"
        raise AssertionError("\n".join([failure, *places_of_tasks()])) from None


def places_of_tasks() -> list[str]:
    """A line for each other task of the event loop: the innermost functions that it waits in, and their lines.

    What has stalled can't be seen from the test, and rarely happens again.
    """
    tasks = sorted(asyncio.all_tasks() - {asyncio.current_task()}, key=lambda task: task.get_name())
    return [f"{task.get_name()}: {_place(task.get_coro())}" for task in tasks[:MOST_TASKS]]


def _place(awaitable: Any) -> str:
    """The last three functions of the chain of awaits."""
    functions: list[str] = []
    while awaitable is not None:
        frame = getattr(awaitable, "cr_frame", None) or getattr(awaitable, "gi_frame", None)
        if frame is not None:
            functions.append(f"{frame.f_code.co_qualname}, {Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        awaitable = getattr(awaitable, "cr_await", None) or getattr(awaitable, "gi_yieldfrom", None)
    return " > ".join(functions[-3:])


class Answered(Protocol):
    """An answer over HTTP."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> Any: ...


A = TypeVar("A", bound=Answered)


async def asked_again(ask: Callable[[], Awaitable[A]]) -> A:
    """The answer to a request, which is repeated as a client repeats it: while the service answers 503 because its read
    tables are behind, or PostgreSQL was too busy and nothing was done."""

    async def lasting() -> A | None:
        answer = await ask()
        if answer.status == 503 and (is_lag(answer.body) or is_undone(answer.body)):
            raise NotYet(answer.body)
        return answer

    return await eventually(lasting, "the service to answer")


def is_lag(body: Any) -> bool:
    """Whether a 503 says that read tables are behind: a detail points at the header of positions."""
    details = body.get("details", ()) if isinstance(body, dict) else ()
    return any(detail["pointer"] == LAG_POINTER for detail in details)


def is_undone(body: Any) -> bool:
    """Whether a 503 says that PostgreSQL did not serve the request, and that nothing was done."""
    return isinstance(body, dict) and body.get("detail", "").endswith(NOTHING_DONE)


def wait_for(condition: Callable[[], T | None], what: str, *, within: float = PATIENCE, every: float = 0.05) -> T:
    """As `eventually`, for tests without an event loop, which wait for another process."""
    last: object = None
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
            last = value
        except NotYet as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {within:g} s; the last attempt gave {last!r}")
