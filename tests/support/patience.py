"""How tests wait for what another task, process or server does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Protocol, TypeVar, overload

T = TypeVar("T")

PATIENCE = 100.0
"""Seconds. What is waited for takes a fraction of one, or some on a machine that is busy with fifty other things. The
bound only ends a test that would hang, below pytest's own timeout, so that the test can say what it waited for."""
LOOK_SECONDS = 0.02


class NotYet(Exception):  # noqa: N818 - names what was found
    """Raised by a condition that wants to say what it found instead of what is waited for."""


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]],
    what: str,
    *,
    within: float = PATIENCE,
    passing: tuple[type[Exception], ...] = (),
    every: float = LOOK_SECONDS,
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T | None],
    what: str,
    *,
    within: float = PATIENCE,
    passing: tuple[type[Exception], ...] = (),
    every: float = LOOK_SECONDS,
) -> T: ...


async def eventually(
    condition: Callable[[], Any],
    what: str,
    *,
    within: float = PATIENCE,
    passing: tuple[type[Exception], ...] = (),
    every: float = LOOK_SECONDS,
) -> Any:
    """The first true value of `condition`, a function, async or not, which is called again `every` so many seconds.

    NotYet, and an error of a type in `passing`, count as "not yet"; any other error ends the wait. Raises
    AssertionError after `within` seconds, which names what was waited for and what the last call returned or raised.
    """
    last: object = None
    not_yet = (NotYet, *passing)
    bound = asyncio.timeout(within)
    try:
        async with bound:
            while True:
                try:
                    found = condition()
                    if isawaitable(found):
                        found = await found
                    if found:
                        return found
                    last = found
                except not_yet as error:
                    last = error
                await asyncio.sleep(every)
    except TimeoutError:
        if not bound.expired():
            raise
        raise AssertionError(f"{what}: not within {within:g} s; the last look found {last!r}") from None


class Answered(Protocol):
    """An answer over HTTP."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> Any: ...


A = TypeVar("A", bound=Answered)


async def asked_again(ask: Callable[[], Awaitable[A]]) -> A:
    """The answer to a request, sent again as clients do while a busy service does not show yet what it has answered."""

    async def shown() -> A | None:
        answer = await ask()
        is_behind = answer.status == 503 and "is not shown here yet" in str(answer.body)
        return None if is_behind else answer

    return await eventually(shown, "the service to show what it has answered")


def wait_for(condition: Callable[[], T | None], what: str, *, within: float = PATIENCE, every: float = 0.05) -> T:
    """As `eventually`, for tests without an event loop: what they wait for is what another process does."""
    last: object = None
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
            last = found
        except NotYet as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {within:g} s; the last look found {last!r}")
