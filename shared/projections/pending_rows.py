"""Reads a row that its read table does not have yet: folded from the events that the table has not applied.

For reads on which other work depends. If the table is behind, or stuck on an event that it can't apply, they must not
answer that a recorded thing does not exist.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.projections.positions import position_of
from shared.projections.projection import Projection

MAX_EVENTS = 10_000
"""Events that are read for one row at most; about 50 ms."""
PAGE = 1_000

R = TypeVar("R", bound=msgspec.Struct)


async def row_with_pending_events(
    store: EventStore, projection: Projection[R], key: tuple[object, ...], read: Callable[[], Awaitable[R | None]]
) -> R | None:
    """The row that `read` returns for `key`, else the row folded from later events; None if there is neither.

    Raises Problem UNAVAILABLE when the table is more than MAX_EVENTS behind.
    """
    if (row := await read()) is not None:
        return row
    async with store.pool.connection() as connection:
        after = await position_of(connection, projection.table)
    if (row := await read()) is not None:
        return row
    for _ in range(MAX_EVENTS // PAGE):
        batch = await store.read_batch(after, PAGE, projection.types, keep_unreadable=True)
        if not batch.size:
            return row
        for recorded in batch.events:
            if isinstance(recorded.event, projection.events) and key in projection.keys(recorded):
                row = projection.project(row, recorded)
        after = batch.position
    raise Problem("UNAVAILABLE", f"the table of {projection.name} is too far behind to answer; try again later")
