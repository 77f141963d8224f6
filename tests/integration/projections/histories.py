"""Histories of tallies, and the rows that read tables make of them."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg

from shared.eventstore import EventStore, StreamAppend
from shared.projections import Projection
from tests.integration.eventstore.tally import Closed, Counted, Opened, context
from tests.integration.projections.tables import projecting
from tests.support.patience import PATIENCE


async def some_history(store: EventStore, streams: int = 30) -> int:
    """Opens tallies, counts, and closes some of them; returns the last position."""
    results = await asyncio.gather(
        *(
            store.append(
                [
                    StreamAppend(
                        uuid4(), 0, [Opened(f"t{n}"), *map(Counted, range(n % 7)), *([Closed()] if n % 5 == 0 else [])]
                    )
                ],
                context(),
            )
            for n in range(streams)
        )
    )
    return max(result.position for result in results)


async def projected(store: EventStore, *projections: Projection[Any]) -> int:
    """Runs a projector until it has applied all events."""
    async with projecting(store, *projections) as projector:
        head = await store.head()
        assert await projector.caught_up(head, PATIENCE)
    return head


def tables(sql: psycopg.Connection) -> set[str]:
    """The names of the existing read tables."""
    names = sql.execute("select tablename from pg_tables where tablename ~ '^(tallies|sums|steps)'")
    return {row[0] for row in names}


def indexes(sql: psycopg.Connection, table: str) -> set[str]:
    return {row[0] for row in sql.execute("select indexname from pg_indexes where tablename = %s", (table,))}
