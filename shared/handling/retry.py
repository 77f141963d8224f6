"""Retries: how often and how long a failing event is tried again, and work in PostgreSQL that outlives an outage."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from shared.backoff import Backoff
from shared.handling.transient import is_transient

T = TypeVar("T")


@dataclass(frozen=True)
class RetrySettings:
    """In seconds. While a server is away, tries go on without a limit, with pauses up to `longest_pause`."""

    attempts: int = 5
    attempts_while_others_pass: int = 10
    """An error that looks like an outage, but comes this often while other events succeed, is the event's own."""
    first_pause: float = 0.2
    longest_pause: float = 10.0
    longest_call: float = 120.0
    """A handler that takes longer is stopped, and has failed."""
    look_at_parked_every: float | None = None
    """By default, as often as a notification of an operator's retry may have been lost."""


class Overdue(Exception):  # noqa: N818 - what happened to the handler
    """The handler took longer than it may."""


@dataclass(frozen=True)
class Failure:
    error: str
    attempts: int


@dataclass
class Failing:
    """An event that has failed and waits for its next try. `since` is the event loop's time."""

    type: str
    event_id: str
    position: int
    key: Hashable
    since: float
    error: str = ""
    attempts: int = 0
    while_others_passed: int = 0

    def __str__(self) -> str:
        return f"{self.type} {self.event_id} at {self.position}"


async def retry_database(work: Callable[[], Awaitable[T]], consumer: str, retries: RetrySettings) -> T:
    """Repeats `work` while PostgreSQL is away."""

    def passing(error: Exception) -> bool:
        raise_if_cancelled()
        return isinstance(error, psycopg.Error | OSError) and is_transient(error)

    backoff = Backoff(f"{consumer} in PostgreSQL", on=passing, first=retries.first_pause, longest=retries.longest_pause)
    return await backoff.call(work)


def raise_if_cancelled() -> None:
    """For loops that go on after an error: nats-py turns a cancellation into an error of its own."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
