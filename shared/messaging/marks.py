"""Marks: up to which event a consumer has settled its owner's events, as the service's own database says.

The broker's record of this is never used, because broker or database may have been restored to an earlier moment. A
mark names the event as its owner does (epoch, position, id), and the sequence of its message in the stream.
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
    """A place in the owner's history. `event_id` and `sequence` are None in a mark that an older release recorded."""

    epoch: int
    position: int
    recorded_at: datetime
    event_id: UUID | None = None
    sequence: int | None = None
    """The sequence of the event's message in the stream."""

    def covers(self, other: "Mark") -> bool:
        """Whether the event at `other` is this one, or came before it in the same history.

        When owner and broker were restored together, both say the same epoch as before and assign positions again. Then
        only the times tell the two histories apart.
        """
        older = (other.epoch, other.position) <= (self.epoch, self.position)
        return older and other.recorded_at <= self.recorded_at

    def names(self, other: "Mark") -> bool:
        """Whether both name the same event."""
        same = (self.epoch, self.position) == (other.epoch, other.position)
        return same and (self.event_id is None or self.event_id == other.event_id)


async def settled(connection: AsyncConnection, consumer: str) -> Mark | None:
    row = await (await connection.execute(SELECT_MARK, (consumer,))).fetchone()
    return Mark(*row) if row else None


async def settle(connection: AsyncConnection, *, consumer: str, mark: Mark) -> None:
    """Records the mark that the consumer's leader gives, also a smaller one: then its owner's history went back."""
    values = (consumer, mark.epoch, mark.position, mark.recorded_at, mark.event_id, mark.sequence)
    await connection.execute(UPSERT_MARK, values)
