"""Epochs: the lives of a store. One that was put back to an earlier moment is noticed, told, and not believed.

A point-in-time recovery, a restored backup, a failover that lost commits: afterwards the store is shorter than it was,
and gives positions out again, for other events. Whatever remembers a position must compare it as (epoch, position).
Three things notice that the store went back:

- Each process remembers a trail of events that it has seen (`Trail`), and looks for the newest of them over every new
  connection, and now and then: a restore breaks all connections. If it is gone, the store went back to before it.
- A process that starts compares which server, timeline and database the store was last seen on.
- The relay compares the store with what the broker holds, and calls `begin`.

An epoch that begins drops what this process holds in memory of the store: `on_epoch` callbacks are called, in-memory
positions behind the fork are void, and a `tail` that is behind it ends with `WentBack`, so that its reader starts over
from what it has recorded. What is recorded in the database went back together with it.
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
"""Events that are remembered: the newest ones each, of older ones fewer and fewer."""

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
    """Positions from here on are of this life, or of a later one."""
    started_at: datetime
    reason: str
    details: dict[str, Any] = {}


class WentBack(VersionConflict):
    """The store was put back to an earlier moment: what was read of it before does not hold any more."""

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
        """Forgets what is from there on."""
        self._seen = {position: event_id for position, event_id in self._seen.items() if position < first_position}
        self.newest = max(self._seen, default=0)

    async def missing_from(self, connection: psycopg.AsyncConnection) -> int | None:
        """The first position of the trail at which the store holds another event, or none; None if all is there."""
        if not self._seen or await self._missing(connection, {self.newest: self._seen[self.newest]}) is None:
            return None
        return await self._missing(connection, self._seen)

    @staticmethod
    async def _missing(connection: psycopg.AsyncConnection, seen: Mapping[int, UUID]) -> int | None:
        found: dict[int, UUID] = dict(await (await connection.execute(SELECT_EVENT_IDS, (list(seen),))).fetchall())
        return min((position for position, event_id in seen.items() if found.get(position) != event_id), default=None)


class Epochs:
    """Of one process's view of a store. `generation` counts how often it went back, as far as this process knows."""

    def __init__(self) -> None:
        self.trail = Trail()
        self.generation = 0
        self._epochs: tuple[Epoch, ...] = (Epoch(1, 0, datetime.fromtimestamp(0, UTC), "not read yet"),)
        self._one_at_a_time = asyncio.Lock()
        self._highest = 1
        """The highest epoch ever heard of: a restored store may have forgotten some."""
        self._callbacks: list[Callable[[Epoch], None]] = []

    @property
    def latest(self) -> Epoch:
        return self._epochs[-1]

    @property
    def all(self) -> tuple[Epoch, ...]:
        return self._epochs

    def of(self, position: int) -> int:
        """The epoch of a position, as last read. Read anew (`read`) after events were, and before this is relied on."""
        return max(epoch.number for epoch in self._epochs if epoch.first_position <= position)

    def on_epoch(self, callback: Callable[[Epoch], None]) -> None:
        """Calls it, with the new epoch, whenever one has begun: to drop what is held in memory of the store."""
        self._callbacks.append(callback)

    async def read(self, connection: psycopg.AsyncConnection) -> None:
        """What other processes have begun."""
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
        """Begins an epoch at `first_position` at the latest; the one that another process has begun for the same.

        `after` is a higher epoch than those in the store that somebody else (the broker) has heard of. The connection
        must be in autocommit.
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
        """Looks whether the store still has what this process has seen of it; begins an epoch if not."""
        async with self._one_at_a_time, within(CHECKS_WITHIN, connection):
            first = await self.trail.missing_from(connection)
            if first is not None:
                details = {"lost_from": first, "lost_to": self.trail.newest}
                await self.begin(connection, "events that were seen are gone", first, details)

    async def check_server(self, connection: psycopg.AsyncConnection) -> None:
        """At a start: whether the store is where it was last seen, and its epochs."""
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
