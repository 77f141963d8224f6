"""A row that its read table does not have yet: made from the events that the table has not taken in.

For reads on which other work depends. A table that is behind, or stopped at an event that it can't take in, must not
make them answer that what was recorded does not exist.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.projections.positions import position_of
from shared.projections.projection import Projection

MOST_EVENTS = 10_000
"""So many events of the store are looked through for one row; about 50 ms."""
PAGE = 1_000

R = TypeVar("R", bound=msgspec.Struct)


async def row_with_pending_events(
    store: EventStore, projection: Projection[R], key: tuple[object, ...], read: Callable[[], Awaitable[R | None]]
) -> R | None:
    """What `read` finds in the table under `key`, else the row that later events make; None when there is none.

    Raises Problem UNAVAILABLE when the table is more than MOST_EVENTS behind.
    """
    if (row := await read()) is not None:
        return row
    async with store.pool.connection() as connection:
        after = await position_of(connection, projection.table)
    if (row := await read()) is not None:
        return row
    for _ in range(MOST_EVENTS // PAGE):
        batch = await store.read_batch(after, PAGE, projection.types, keep_unreadable=True)
        if not batch.size:
            return row
        for recorded in batch.events:
            if isinstance(recorded.event, projection.events) and key in projection.keys(recorded):
                row = projection.project(row, recorded)
        after = batch.position
    raise Problem("UNAVAILABLE", f"The table of {projection.name} is too far behind to tell; try again later")
