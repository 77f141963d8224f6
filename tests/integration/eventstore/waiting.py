"""Waiting for another connection or process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import psycopg

from shared.eventstore import Batch, RecordedEvent
from shared.eventstore.append_statement import APPEND_LOCK
from tests.support.patience import PATIENCE

T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    """The result. Fails after a time, so that a broken store does not hang the test."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def take_append_lock(connection: psycopg.Connection) -> None:
    """Begins a transaction that blocks all writers of the store until it ends."""
    connection.execute("begin")
    connection.execute("select pg_advisory_xact_lock(%s)", (APPEND_LOCK,))


def writers_waiting(connection: psycopg.Connection) -> int:
    """The number of backends of this database that wait for the append lock."""
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
