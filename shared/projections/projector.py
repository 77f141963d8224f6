"""The projector: tails its service's own store and keeps all of the service's read tables, exactly once.

Rows and positions are committed in one transaction, and the positions are checked in it, so a second projector that
believes it leads is fenced off. All tables of a service advance together: one tail, one decoding, one transaction.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import structlog

from shared.eventstore import Batch, EventStore, Schema, migrate
from shared.eventstore.connections import LONG, WORK, connected
from shared.eventstore.lease import while_leader
from shared.projections.projection import Projection, fold_batch
from shared.projections.rebuild import rebuild
from shared.projections.tables import Table
from shared.stopping import stop

SCHEMA = Schema("projections", Path(__file__).parent / "migrations")

POSITION = "projections"
"""The watermark that says how far the read tables have come."""
LOOK = 0.25
"""Seconds after which one who waits for the read tables looks for itself: the notification may have been lost."""

LOCKED = "select position from projections where name = any(%s) for update"
MOVE = "update projections set position = %s, heartbeat_at = clock_timestamp() where name = any(%s)"
BEAT = "update projections set heartbeat_at = clock_timestamp(), leader = %s where name = any(%s)"
REGISTER = "insert into projections (name, version) values (%s, %s) on conflict do nothing"
KNOWN = "select name, version, position from projections where name = any(%s)"
LAG = """
with p as (
  select name, heartbeat_at, case when p.version = own.version then position else 0 end as position
  from projections p join unnest(%s::text[], %s::integer[]) as own (name, version) using (name)
)
select p.name, p.position, extract(epoch from clock_timestamp() - p.heartbeat_at)::float8 as heartbeat_age,
       (select count(*) from (select 1 from events e where e.position > p.position limit 100000) behind) as events,
       coalesce(extract(epoch from clock_timestamp() - (
         select e.recorded_at from events e where e.position > p.position order by e.position limit 1
       ))::float8, 0) as seconds
from p order by p.name"""

log = structlog.get_logger()


class Fenced(Exception):  # noqa: N818 - what happened to the projector
    """Another projector has moved a table on: this one must look again where it stands."""


class Lag(msgspec.Struct, frozen=True):
    """How far a read table is behind: in events, and in seconds since the first event it has not seen was recorded.

    `heartbeat_age`, in seconds, is how long ago its projector was last heard of: more than a few mean that it is dead.
    """

    name: str
    position: int
    events: int
    seconds: float
    heartbeat_age: float


class Projector:
    def __init__(self, store: EventStore, projections: Sequence[Projection[Any]], *, instance: str = "") -> None:
        self.store, self.projections, self._instance = store, tuple(projections), instance
        self._names = [projection.name for projection in projections]
        self._types = frozenset().union(*(projection.types for projection in projections))
        self._tables: list[Table] = []
        self._together = False
        """Whether all tables are of our version and at one position, so that the watermark speaks of each of them."""

    async def prepare(self) -> None:
        """Creates tables that are missing, so that queries find them before the first event."""
        await migrate(self.store.dsn, SCHEMA)
        async with connected(self.store.dsn, "projector", LONG) as connection:
            await connection.execute("select pg_advisory_xact_lock(hashtext('migrate'))")
            for projection in self.projections:
                await Table.create(connection, projection, projection.name)
                await connection.execute(REGISTER, (projection.name, projection.version))

    async def run(self) -> None:
        """Projects whenever this replica holds the lease, until cancelled."""
        if self.projections:
            await while_leader(self.store.dsn, "projector", self._lead)

    async def caught_up(self, position: int, timeout: float = 2.0) -> bool:  # noqa: ASYNC109
        """Waits until the read tables show everything up to `position`; False after `timeout` seconds."""
        if not self.projections:
            return True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            reached = await self.store.watermarks.wait_for(POSITION, position, min(LOOK, deadline - loop.time()))
            if reached and self._together:
                return True
            # The wait's own look must neither prolong it nor fail a command that has been recorded.
            with contextlib.suppress(TimeoutError, psycopg.Error):
                async with asyncio.timeout(max(deadline - loop.time(), LOOK)):
                    positions = {lag.position for lag in await self.lag()}
                    self._together = len(positions) == 1
                    if self._together:
                        self.store.watermarks.observe(POSITION, *positions)
                    if min(positions) >= position:
                        return True
            if loop.time() >= deadline:
                return False
            if reached:  # by other tables, or by those of another version: nobody will wake us for ours
                await asyncio.sleep(min(LOOK, deadline - loop.time()))

    async def lag(self) -> list[Lag]:
        """In the order of their names. A table of another version has seen nothing: it will be built anew."""
        versions = [projection.version for projection in self.projections]
        async with self.store.pool.connection() as connection:
            rows = await (await connection.execute(LAG, (self._names, versions))).fetchall()
        return [Lag(name, position, events, seconds, age) for name, position, age, events, seconds in rows]

    async def _lead(self) -> None:
        async with connected(self.store.dsn, "projector", WORK) as connection:
            connection.prepare_threshold = 0
            position = await self._start(connection)
            beat = asyncio.create_task(self._beat())
            try:
                async for batch in self.store.tail(position, types=self._types):
                    await self._apply(connection, position, batch)
                    position = batch.position
            finally:
                await stop(beat)

    async def _start(self, connection: psycopg.AsyncConnection) -> int:
        """Where to go on: all tables at one position, those of an older version rebuilt first."""
        rows = await (await connection.execute(KNOWN, (self._names,))).fetchall()
        await connection.commit()
        known = {name: (version, position) for name, version, position in rows}
        furthest: int = max(position for _, position in known.values())
        for projection in self.projections:
            version, position = known[projection.name]
            if version != projection.version or position < furthest:
                log.info("projection_rebuilds", projection=projection.name, version=projection.version)
                await rebuild(self.store, projection, to=furthest)
        self._tables = [await Table.open(connection, each, each.name) for each in self.projections]
        await connection.execute(BEAT, (self._instance, self._names))
        await connection.commit()
        self.store.watermarks.advance(POSITION, furthest)
        return furthest

    async def _apply(self, connection: psycopg.AsyncConnection, position: int, batch: Batch) -> None:
        async with connection.transaction():
            held = await (await connection.execute(LOCKED, (self._names,))).fetchall()
            if any(row[0] != position for row in held):
                raise Fenced(f"a read table is not at {position} any more")
            for table in self._tables:
                projection = table.projection
                events = [
                    (event, tuple(projection.keys(event))) for event in batch.events if event.type in projection.types
                ]
                if events:
                    before = await table.read(connection, list({key for _, keys in events for key in keys}))
                    await table.write(connection, before, fold_batch(projection, events, before))
            await connection.execute(MOVE, (batch.position, self._names))
        self.store.watermarks.advance(POSITION, batch.position)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1)
            with contextlib.suppress(psycopg.Error):
                async with self.store.pool.connection() as connection:
                    await connection.execute(BEAT, (self._instance, self._names))
