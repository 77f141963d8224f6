"""Waiting for what another connection or process does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import psycopg

from shared.eventstore import Batch, RecordedEvent
from shared.eventstore.append_statement import APPEND_LOCK
from tests.support.patience import PATIENCE

T = TypeVar("T")


async def until(condition: Callable[[], object], what: str) -> None:
    """Looks again and again, letting everything else run."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what happens is elsewhere: no event of ours is set
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited in vain until {what}") from None


async def eventually(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """As `until`, for what has to be asked for."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await condition():  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited in vain until {what}") from None


async def soon(awaitable: Awaitable[T]) -> T:
    """The result, or a failure where a broken store would wait for ever."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def take_append_lock(connection: psycopg.Connection) -> None:
    """Begins a transaction that keeps every writer of the store waiting until it ends."""
    connection.execute("begin")
    connection.execute("select pg_advisory_xact_lock(%s)", (APPEND_LOCK,))


def writers_waiting(connection: psycopg.Connection) -> int:
    """How many backends of this database wait for the append lock."""
    row = connection.execute(
        "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        " and database = (select oid from pg_database where datname = current_database())"
    ).fetchone()
    return row[0] if row else 0


async def first(count: int, batches: AsyncIterator[Batch]) -> list[RecordedEvent]:
    """The first `count` events of a tail."""
    events: list[RecordedEvent] = []
    async with asyncio.timeout(PATIENCE):
        while len(events) < count:
            events += (await anext(batches)).events
    return events
