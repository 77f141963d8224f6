"""Epochs: the periods of a store between two restores to an earlier moment. Such a restore is detected and logged.

After a point-in-time recovery, a restored backup or a failover that lost commits, the store has lost its last events
("went back"), and assigns their positions again, to other events. So remembered positions are compared as (epoch,
position). A store that went back is detected in three ways:

- Each process remembers a trail of events that it has read or written (`Trail`). It queries the newest of them over
  every new connection, because a restore breaks all connections, and every 30 seconds. If that event is gone, the store
  went back.
- A process that starts compares the server, timeline and database with those that were last recorded.
- The relay compares the store with the messages that the broker holds, and calls `begin`.

When an epoch begins, a process drops what it remembers of the store: the `on_epoch` callbacks are called, and a `tail`
that has passed the new epoch's first position ends with `WentBack`, so that its reader continues from its checkpoint.
Checkpoints are in the same database, so they went back together with the events.
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

CHECK_WITHIN = 5.0
"""Seconds."""
TRAIL_LENGTH = 512
"""Events remembered: each of the newest ones, and fewer of the older ones."""

SELECT_EPOCHS = "select epoch, first_position, started_at, reason, details from epochs order by epoch"
BEGIN_EPOCH = "select epoch, first_position, is_new from begin_epoch(%s, %s, %s, %s)"
SELECT_LAST_SERVER = """
select e.epoch, e.server, store_server(), (select coalesce(max(position), 0) from events)
from epochs e order by e.epoch desc limit 1"""
UPDATE_SERVER = "update epochs set server = store_server() where epoch = %s"
SELECT_EVENT_IDS = "select position, event_id from events where position = any(%s)"

log = structlog.get_logger()


class Epoch(msgspec.Struct, frozen=True):
    """A period of a store between two restores."""

    number: int
    first_position: int
    """Positions from this one on belong to this epoch, or to a later one."""
    started_at: datetime
    reason: str
    details: dict[str, Any] = {}


class WentBack(VersionConflict):
    """The store was restored to an earlier moment: events that were read before may not exist any more."""

    def __init__(self, epoch: int) -> None:
        Exception.__init__(self, f"the store went back to an earlier moment: epoch {epoch} has begun")
        self.stream_id, self.expected, self.actual = UUID(int=0), 0, 0


class Trail:
    """Positions and ids of events that this process has read or written, in order."""

    def __init__(self) -> None:
        self._events: dict[int, UUID] = {}
        self.newest = 0

    def note(self, position: int, event_id: UUID) -> None:
        """Adds an event, unless a newer one is in the trail."""
        if position <= self.newest:
            return
        self.newest = position
        self._events[position] = event_id
        if len(self._events) > TRAIL_LENGTH:
            events = list(self._events.items())
            older, newer = events[: TRAIL_LENGTH // 2], events[TRAIL_LENGTH // 2 :]
            self._events = dict(older[::2] + newer)

    def cut(self, first_position: int) -> None:
        """Drops the events from this position on."""
        self._events = {position: event_id for position, event_id in self._events.items() if position < first_position}
        self.newest = max(self._events, default=0)

    async def missing_from(self, connection: psycopg.AsyncConnection) -> int | None:
        """Position of the first event of the trail that the store does not have; None if it has all of them."""
        if not self._events or await self._missing(connection, {self.newest: self._events[self.newest]}) is None:
            return None
        return await self._missing(connection, self._events)

    @staticmethod
    async def _missing(connection: psycopg.AsyncConnection, events: Mapping[int, UUID]) -> int | None:
        rows = await (await connection.execute(SELECT_EVENT_IDS, (list(events),))).fetchall()
        stored: dict[int, UUID] = dict(rows)
        return min(
            (position for position, event_id in events.items() if stored.get(position) != event_id), default=None
        )


class Epochs:
    """The epochs of a store, as one process knows them. `generation` counts how often the latest one has changed."""

    def __init__(self) -> None:
        self.trail = Trail()
        self.generation = 0
        self._epochs: tuple[Epoch, ...] = (Epoch(1, 0, datetime.fromtimestamp(0, UTC), "not read yet"),)
        self._check_lock = asyncio.Lock()
        self._highest = 1
        """The highest epoch number that this process has known: a restored store may have lost the newest epochs."""
        self._callbacks: list[Callable[[Epoch], None]] = []

    @property
    def latest(self) -> Epoch:
        """The present epoch."""
        return self._epochs[-1]

    @property
    def all(self) -> tuple[Epoch, ...]:
        """All epochs, in order."""
        return self._epochs

    def of(self, position: int) -> int:
        """The epoch number of a position, according to the epochs last read: call `read` after reading the events."""
        return max(epoch.number for epoch in self._epochs if epoch.first_position <= position)

    def on_epoch(self, callback: Callable[[Epoch], None]) -> None:
        """Calls `callback` with each new epoch, so that it drops what it remembers of the store."""
        self._callbacks.append(callback)

    async def read(self, connection: psycopg.AsyncConnection) -> None:
        """Reads the epochs from the database, which other processes may have begun."""
        before = self.latest.number
        rows = await (await connection.execute(SELECT_EPOCHS)).fetchall()
        self._epochs = tuple(Epoch(*row) for row in rows)
        self._highest = max(self._highest, self.latest.number)
        if self.latest.number != before:
            self._changed()

    async def begin(
        self,
        connection: psycopg.AsyncConnection,
        reason: str,
        first_position: int,
        details: Mapping[str, Any],
        *,
        after: int = 0,
    ) -> Epoch:
        """Begins an epoch at `first_position` or before, or returns the one that another process began for it.

        The new epoch's number is greater than `after`: the highest epoch in the broker's messages, which a restored
        store may have lost. The connection must be in autocommit mode.
        """
        highest = max(self._highest, after)
        cursor = await connection.execute(BEGIN_EPOCH, (highest, first_position, reason, Jsonb(dict(details))))
        row = await cursor.fetchone()
        assert row is not None, "begin_epoch returns a row"
        epoch, first, is_new = row
        self._highest = max(self._highest, epoch)
        write = log.error if is_new else log.warning
        write("store_went_back", epoch=epoch, first_position=first, reason=reason, **details)
        await self.read(connection)
        return self.latest

    def _changed(self) -> None:
        self.generation += 1
        self.trail.cut(self.latest.first_position)
        for callback in self._callbacks:
            callback(self.latest)

    async def check(self, connection: psycopg.AsyncConnection) -> None:
        """Checks that the store still holds the events of the trail, and begins an epoch if it does not."""
        async with self._check_lock, within(CHECK_WITHIN, connection):
            first = await self.trail.missing_from(connection)
            if first is not None:
                details = {"lost_from": first, "lost_to": self.trail.newest}
                await self.begin(connection, "events that were read before are gone", first, details)

    async def check_server(self, connection: psycopg.AsyncConnection) -> None:
        """At start: reads the epochs, and begins one if the server, timeline or database has changed."""
        async with within(CHECK_WITHIN, connection):
            row = await (await connection.execute(SELECT_LAST_SERVER)).fetchone()
            assert row is not None, "a store has an epoch"
            epoch, before, now, head = row
            self._highest = max(self._highest, epoch)
            if before is not None and before != now and head:
                details = {"before": before, "now": now}
                await self.begin(connection, "another server, timeline or database than before", head + 1, details)
            elif before != now:
                await connection.execute(UPDATE_SERVER, (epoch,))
            await self.read(connection)
