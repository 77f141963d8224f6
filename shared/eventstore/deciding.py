"""The parts of handling a command that decide: on which state, and until when."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.eventstore.decider import Loaded
from shared.eventstore.records import StoreUnavailable

S = TypeVar("S")

DECIDE_WITHIN = 9.0
"""Seconds: `handle` starts no attempt later. A read may take 5 more, so that it answers within 15."""
LEAST_FOR_LOOK_UP = LEAST_FOR_APPEND = 0.5
"""Seconds that each of looking up and appending may take, even after `DECIDE_WITHIN`."""


def check_version(loaded: Loaded[S], expected_version: int | None) -> None:
    """Raises Problem VERSION_CONFLICT for a state of another version than the expected one, if any."""
    if expected_version is not None and loaded.version != expected_version:
        raise Problem(
            "VERSION_CONFLICT",
            f"this is at version {loaded.version} now, not at {expected_version}: read it again first",
        )


async def decide_on_cached(
    decide: Callable[[S], Sequence[Event]],
    cached: Loaded[S] | None,
    expected_version: int | None,
    look_up: Callable[[Loaded[S]], Awaitable[bool]],
) -> tuple[Event, ...]:
    """The events decided on a state that may be outdated; none if it is not of the expected version.

    None, too, when the decision is refused: newer events may allow it, so it is repeated on the recorded state, and
    raises there.
    """
    if cached is None or expected_version not in {None, cached.version}:
        return ()
    if not await look_up(cached):
        return ()
    try:
        return tuple(decide(cached.state))
    except Exception:  # noqa: BLE001 - a refusal, which the decision on the recorded state raises
        return ()


def seconds_to_append(deadline: float) -> float:
    """The bound of an append that begins now."""
    return max(deadline - asyncio.get_running_loop().time(), LEAST_FOR_APPEND)


async def look_up_in_time(
    look_up: Callable[[Loaded[S]], Awaitable[bool]] | None, deadline: float, loaded: Loaded[S]
) -> bool:
    """What `look_up` returns, True without one. Raises StoreUnavailable if it is not done in time."""
    if look_up is None:
        return True
    try:
        async with asyncio.timeout_at(max(deadline, asyncio.get_running_loop().time() + LEAST_FOR_LOOK_UP)):
            return await look_up(loaded)
    except TimeoutError:
        raise StoreUnavailable("what the decision needs was not read in time: nothing was done") from None
