"""Epochs: the periods of a store between two restores to an earlier moment. Such a restore is detected and logged.

After a point-in-time recovery, a restored backup or a failover that lost commits, the store is shorter than it was, and
assigns the lost positions again, to other events. So remembered positions are compared as (epoch, position). A store
that went back is detected in three ways:

- Each process remembers a trail of events that it has seen (`Trail`). It looks for the newest of them over every new
  connection, because a restore breaks all connections, and every 30 seconds. If that event is gone, the store went back
  to a moment before it.
- A process that starts compares the server, timeline and database with those on which the store was last seen.
- The relay compares the store with the messages that the broker holds, and calls `begin`.

When an epoch begins, this process drops what it remembers of the store: the `on_epoch` callbacks are called, and a
`tail` that has passed the new epoch's first position ends with `WentBack`, so that its reader continues from its
checkpoint. Checkpoints are in the same database, so they went back together with the events.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg.types.json import Jsonb

from shared.eventstore.connections import within
from shared.eventstore.records import VersionConflict

CHECKS_WITHIN = 5.0
TRAIL_LENGTH = 512
"""How many events are remembered: each of the newest ones, and the fewer the older they are."""

SELECT_EPOCHS = "select epoch, first_position, started_at, reason, details from epochs order by epoch"
BEGIN_EPOCH = "select epoch, first_position, is_new from begin_epoch(%s, %s, %s, %s)"
SELECT_SERVERS = """
select e.epoch, e.server, store_server(), (select coalesce(max(position), 0) from events)
from epochs e order by e.epoch desc limit 1"""
UPDATE_SERVER = "update epochs set server = store_server() where epoch = %s"
SELECT_EVENT_IDS = "select position, event_id from events where position = any(%s)"

log = structlog.get_logger()


class Epoch(msgspec.Struct, frozen=True):
    number: int
    first_position: int
    """Positions from here on belong to this epoch, or to a later one."""
    started_at: datetime
    reason: str
    details: dict[str, Any] = {}


class WentBack(VersionConflict):
    """The store was restored to an earlier moment: what was read from it before may not be recorded any more."""

    def __init__(self, epoch: int) -> None:
        Exception.__init__(self, f"the store went back to an earlier moment: epoch {epoch} has begun")
        self.stream_id, self.expected, self.actual = UUID(int=0), 0, 0


class Trail:
    """Positions and event ids that this process has seen, in order."""

    def __init__(self) -> None:
        self._seen: dict[int, UUID] = {}
        self.newest = 0

    def note(self, position: int, event_id: UUID) -> None:
        if position <= self.newest:
            return
        self.newest = position
        self._seen[position] = event_id
        if len(self._seen) > TRAIL_LENGTH:
            kept = list(self._seen.items())
            older, newer = kept[: TRAIL_LENGTH // 2], kept[TRAIL_LENGTH // 2 :]
            self._seen = dict(older[::2] + newer)

    def cut(self, first_position: int) -> None:
        """Forgets the events from this position on."""
        self._seen = {position: event_id for position, event_id in self._seen.items() if position < first_position}
        self.newest = max(self._seen, default=0)

    async def missing_from(self, connection: psycopg.AsyncConnection) -> int | None:
        """The first position of the trail whose event the store does not hold; None if it holds all of them."""
        if not self._seen or await self._missing(connection, {self.newest: self._seen[self.newest]}) is None:
            return None
        return await self._missing(connection, self._seen)

    @staticmethod
    async def _missing(connection: psycopg.AsyncConnection, seen: Mapping[int, UUID]) -> int | None:
        found: dict[int, UUID] = dict(await (await connection.execute(SELECT_EVENT_IDS, (list(seen),))).fetchall())
        return min((position for position, event_id in seen.items() if found.get(position) != event_id), default=None)


class Epochs:
    """The epochs of a store, as one process knows them. `generation` counts how often they have changed."""

    def __init__(self) -> None:
        self.trail = Trail()
        self.generation = 0
        self._epochs: tuple[Epoch, ...] = (Epoch(1, 0, datetime.fromtimestamp(0, UTC), "not read yet"),)
        self._one_at_a_time = asyncio.Lock()
        self._highest = 1
        """The highest epoch that this process has known: a restored store may have lost the newest ones."""
        self._callbacks: list[Callable[[Epoch], None]] = []

    @property
    def latest(self) -> Epoch:
        return self._epochs[-1]

    @property
    def all(self) -> tuple[Epoch, ...]:
        return self._epochs

    def of(self, position: int) -> int:
        """The epoch of a position, according to the epochs last read: `read` them after reading the events."""
        return max(epoch.number for epoch in self._epochs if epoch.first_position <= position)

    def on_epoch(self, callback: Callable[[Epoch], None]) -> None:
        """Calls `callback` with each new epoch, so that it drops what it remembers of the store."""
        self._callbacks.append(callback)

    async def read(self, connection: psycopg.AsyncConnection) -> None:
        """Reads the epochs from the database, with those that other processes have begun."""
        before = self.latest.number
        rows = await (await connection.execute(SELECT_EPOCHS)).fetchall()
        self._epochs = tuple(Epoch(*row) for row in rows)
        self._highest = max(self._highest, self.latest.number)
        if self.latest.number != before:
            self._turn()

    async def begin(
        self,
        connection: psycopg.AsyncConnection,
        reason: str,
        first_position: int,
        details: Mapping[str, Any],
        *,
        after: int = 0,
    ) -> Epoch:
        """Begins an epoch at `first_position` or before, or returns the one that another process has begun for this.

        The new epoch's number is greater than `after`: the highest epoch in the broker's messages, which a restored
        store may have lost. The connection must be in autocommit mode.
        """
        known = max(self._highest, after)
        cursor = await connection.execute(BEGIN_EPOCH, (known, first_position, reason, Jsonb(dict(details))))
        row = await cursor.fetchone()
        assert row is not None, "begin_epoch always answers"
        epoch, first, is_new = row
        self._highest = max(self._highest, epoch)
        say = log.error if is_new else log.warning
        say("store_went_back", epoch=epoch, first_position=first, reason=reason, **details)
        await self.read(connection)
        return self.latest

    def _turn(self) -> None:
        self.generation += 1
        self.trail.cut(self.latest.first_position)
        for callback in self._callbacks:
            callback(self.latest)

    async def check(self, connection: psycopg.AsyncConnection) -> None:
        """Checks that the store still holds the events of the trail, and begins an epoch if it does not."""
        async with self._one_at_a_time, within(CHECKS_WITHIN, connection):
            first = await self.trail.missing_from(connection)
            if first is not None:
                details = {"lost_from": first, "lost_to": self.trail.newest}
                await self.begin(connection, "events that were seen are gone", first, details)

    async def check_server(self, connection: psycopg.AsyncConnection) -> None:
        """At a start: reads the epochs, and begins one if the server, timeline or database is not the last seen one."""
        async with within(CHECKS_WITHIN, connection):
            row = await (await connection.execute(SELECT_SERVERS)).fetchone()
            assert row is not None, "a store has an epoch"
            epoch, before, now, head = row
            self._highest = max(self._highest, epoch)
            if before is not None and before != now and head:
                details = {"before": before, "now": now}
                await self.begin(connection, "another server, timeline or database than before", head + 1, details)
            elif before != now:
                await connection.execute(UPDATE_SERVER, (epoch,))
            await self.read(connection)
