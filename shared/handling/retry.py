"""Retry settings, and database work that is retried through outages of PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from shared.backoff import Backoff
from shared.handling.transient import is_transient

T = TypeVar("T")


@dataclass(frozen=True)
class RetrySettings:
    """Times are in seconds. While a server is unreachable, retries are unlimited, `longest_pause` apart at most."""

    attempts: int = 5
    """Failures after which an event is parked; transient errors (`is_transient`) do not count."""
    attempts_while_others_pass: int = 10
    """Transient errors after which an event is parked: those that occur while other events succeed."""
    first_pause: float = 0.2
    longest_pause: float = 10.0
    longest_call: float = 120.0
    """A handler that takes longer is cancelled, which counts as a failure."""
    look_at_parked_every: float | None = None
    """Poll interval for retries that operators request; by default, the watermarks' own fallback interval."""


async def retry_database(work: Callable[[], Awaitable[T]], name: str, settings: RetrySettings) -> T:
    """Calls `work` until it succeeds, as long as its errors mean that PostgreSQL is unreachable; raises any other."""

    def is_outage(error: Exception) -> bool:
        raise_if_cancelled()
        return isinstance(error, psycopg.Error | OSError) and is_transient(error)

    backoff = Backoff(f"{name} in PostgreSQL", on=is_outage, first=settings.first_pause, longest=settings.longest_pause)
    return await backoff.call(work)


def raise_if_cancelled() -> None:
    """Raises CancelledError if this task is being cancelled: nats-py turns a cancellation into an error of its own.

    For loops that continue after an error.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
