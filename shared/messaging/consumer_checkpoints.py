"""Checkpoints of consumers: up to which event a consumer has settled its owner's events, in the service's own database.

The broker's record is never used, because broker or database may have been restored to an earlier moment. So a
checkpoint names the event as its owner does (epoch, position, id), and the sequence of its message in the stream.
"""

from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from shared.messaging.cloudevents import Identity

SELECT_CHECKPOINT: LiteralString = (
    "select epoch, position, recorded_at, event_id, sequence from consumed where consumer = %s"
)
UPSERT_CHECKPOINT: LiteralString = """
insert into consumed (consumer, epoch, position, recorded_at, event_id, sequence) values (%s, %s, %s, %s, %s, %s)
on conflict (consumer) do update
set epoch = excluded.epoch, position = excluded.position, recorded_at = excluded.recorded_at,
    event_id = excluded.event_id, sequence = excluded.sequence"""


class HistoryPoint(NamedTuple):
    """An event in its owner's history. `event_id` and `sequence` are None in a checkpoint of releases before 0.2."""

    epoch: int
    position: int
    recorded_at: datetime
    event_id: UUID | None = None
    sequence: int | None = None
    """The sequence of the event's message in the stream."""

    @classmethod
    def of(cls, identity: Identity, sequence: int | None) -> "HistoryPoint":
        """The point of the event with this identity."""
        return cls(identity.epoch, identity.position, identity.recorded_at, identity.event_id, sequence)

    def covers(self, other: "HistoryPoint") -> bool:
        """Whether the event at `other` is this one, or came before it in the same history.

        When owner and broker were restored together, both have their old epoch and assign positions again. Then only
        the times distinguish the two histories.
        """
        older = (other.epoch, other.position) <= (self.epoch, self.position)
        return older and other.recorded_at <= self.recorded_at

    def names(self, other: "HistoryPoint") -> bool:
        """Whether both name the same event."""
        same = (self.epoch, self.position) == (other.epoch, other.position)
        return same and (self.event_id is None or self.event_id == other.event_id)


class Floor(NamedTuple):
    """How far a consumer had received its owner's events."""

    point: HistoryPoint | None
    sequence: int
    """Of the message in the stream."""


async def load(connection: AsyncConnection, consumer: str) -> HistoryPoint | None:
    """The checkpoint of a consumer; None before its first."""
    row = await (await connection.execute(SELECT_CHECKPOINT, (consumer,))).fetchone()
    return HistoryPoint(*row) if row else None


async def save(connection: AsyncConnection, *, consumer: str, point: HistoryPoint) -> None:
    """Records the checkpoint; it may be smaller than the last, if the owner's history was restored."""
    values = (consumer, point.epoch, point.position, point.recorded_at, point.event_id, point.sequence)
    await connection.execute(UPSERT_CHECKPOINT, values)
