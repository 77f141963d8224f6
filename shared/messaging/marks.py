"""How far a consumer has settled its owner's events: kept in the service's own database, which is the truth of it.

What the broker knows of a consumer counts for nothing, since either of the two may have been restored to an earlier
moment. A mark names the event as its owner does (epoch, position, id), and where in the stream it was found.
"""

from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

SELECT_MARK: LiteralString = "select epoch, position, recorded_at, event_id, sequence from consumed where consumer = %s"
UPSERT_MARK: LiteralString = """
insert into consumed (consumer, epoch, position, recorded_at, event_id, sequence) values (%s, %s, %s, %s, %s, %s)
on conflict (consumer) do update
set epoch = excluded.epoch, position = excluded.position, recorded_at = excluded.recorded_at,
    event_id = excluded.event_id, sequence = excluded.sequence"""


class Mark(NamedTuple):
    """A place in the owner's history. `event_id` and `sequence` are None where an older release has kept it."""

    epoch: int
    position: int
    recorded_at: datetime
    event_id: UUID | None = None
    sequence: int | None = None
    """Of the event's message in the stream."""

    def covers(self, other: "Mark") -> bool:
        """Whether an event at that mark came before this one, in the same history.

        The times tell histories apart that say the same epoch: owner and broker were restored together, and positions
        are given a second time, later.
        """
        older = (other.epoch, other.position) <= (self.epoch, self.position)
        return older and other.recorded_at <= self.recorded_at

    def names(self, other: "Mark") -> bool:
        """Whether both are of the same event."""
        same = (self.epoch, self.position) == (other.epoch, other.position)
        return same and (self.event_id is None or self.event_id == other.event_id)


async def settled(connection: AsyncConnection, consumer: str) -> Mark | None:
    row = await (await connection.execute(SELECT_MARK, (consumer,))).fetchone()
    return Mark(*row) if row else None


async def settle(connection: AsyncConnection, *, consumer: str, mark: Mark) -> None:
    """What the consumer's leader says, also when it lies further back: then its owner's history does."""
    values = (consumer, mark.epoch, mark.position, mark.recorded_at, mark.event_id, mark.sequence)
    await connection.execute(UPSERT_MARK, values)
