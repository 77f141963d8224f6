"""The projector: it follows its service's own store and applies each event once to the service's read tables.

Rows and positions are committed in one transaction, which also checks the positions: so a second projector that still
believes that it leads is fenced off. Tables at the same position advance together: each event is read and decoded once,
in one transaction. A table that is behind (new, rebuilt, or stuck on an event) catches up alone, and then joins them.

A table's version is part of its name, and each release projects its own tables; the lease is named after them. A table
that two releases share is projected by the release that claimed it first, as long as that one's lease is valid.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import structlog

from shared import progress
from shared.backoff import Backoff
from shared.eventstore import EventStore, Schema, StoreUnavailable
from shared.eventstore.connections import LONG, TRANSIENT_ERRORS, connected
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import LOCK_MIGRATIONS, PATIENCE, migrate
from shared.projections import positions, table_usage
from shared.projections.leader import REST, Leader
from shared.projections.position_waiter import PositionWaiter
from shared.projections.projection import Projection
from shared.projections.table import Table
from shared.stopping import stop

SCHEMA = Schema("projections", Path(__file__).parent / "migrations")

# Up to 10,000 waiting events are counted: more need no exact number.
SELECT_LAG = """
select t.name, t.position, t.status, t.error, t.event, t.leader,
       (select count(*) from (select 1 from events e where e.position > t.position limit 10000) behind) as events,
       coalesce(extract(epoch from clock_timestamp() - (
         select e.recorded_at from events e where e.position > t.position order by e.position limit 1
       ))::float8, 0) as seconds,
       (select count(*) from read_table_skips s where s.table_name = t.name) as skipped
from read_tables t where t.name = any(%s) order by t.name"""

log = structlog.get_logger()


class Lag(msgspec.Struct, frozen=True):
    """How far a read table is behind: in events, and in seconds since the first event it has not seen was recorded.

    `status` is live, building (it catches up) or failed: then `event` is the one on which it is stuck, and `error` that
    of the last try. `skipped` is the number of events that an operator has left out.
    """

    name: str
    position: int
    status: str
    error: str | None
    event: str | None
    leader: str
    events: int
    seconds: float
    skipped: int


class Projector:
    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection[Any]],
        *,
        instance: str = "",
        release: str = "",
        grace_days: float = table_usage.GRACE_DAYS,
        rest: float = REST,
    ) -> None:
        self.store, self.projections, self._release, self._grace_days = store, tuple(projections), release, grace_days
        self._instance = instance or f"{socket.gethostname()}-{os.getpid()}"
        self._names = [projection.table for projection in projections]
        self.lease = f"projector {sha256(' '.join(sorted(self._names)).encode()).hexdigest()[:12]}"
        """The lease's name: of all replicas with the same tables, one projects them."""
        self._rest = rest
        self.caught_up = PositionWaiter(store, self._names).caught_up

    async def prepare(self) -> None:
        """Creates tables that are missing, so that queries find them before the first event."""
        await migrate(self.store.dsn, SCHEMA)
        blocked = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
        await Backoff("read tables", on=blocked).call(self._create_missing, timeout=PATIENCE)

    async def _create_missing(self) -> None:
        async with connected(self.store.dsn, "projector", LONG) as connection:
            await connection.execute(LOCK_MIGRATIONS)
            for projection in self.projections:
                await Table.create(connection, projection, projection.table)
                await positions.register(connection, projection.table)

    async def run(self) -> None:
        """Projects whenever this replica holds the lease, until cancelled."""
        if not self.projections:
            return
        seeing = asyncio.create_task(self._be_seen())
        try:
            await run_as_leader(self.store, self.lease, self._lead)
        finally:
            await stop(seeing)

    async def lag(self) -> list[Lag]:
        """Of each table, ordered by name."""
        async with self.store.pool.connection() as connection:
            rows = await (await connection.execute(SELECT_LAG, (self._names,))).fetchall()
        return [Lag(*row) for row in rows]

    async def progress(self) -> list[progress.Progress]:
        """Works on any replica, and also shows a table that is stuck, or that no replica projects."""
        return [
            progress.Progress(
                name=f"projection {each.name}",
                waiting=each.events,
                waiting_seconds=each.seconds,
                event=each.event,
                error=each.error or ("it is being built" if each.status == "building" and each.events else None),
                leader=each.leader or None,
            )
            for each in await self.lag()
        ]

    async def _lead(self, lease: Lease) -> None:
        leader = Leader(
            self.store,
            self.projections,
            lease=self.lease,
            instance=self._instance,
            fence=lease.fence,
            rest=self._rest,
        )
        await leader.run()

    async def _be_seen(self) -> None:
        """Records at intervals which tables this process uses, and drops those that no process has used for long."""
        backoff = Backoff("users of read tables", on=(*TRANSIENT_ERRORS, StoreUnavailable), longest=60.0)
        while True:
            try:
                await table_usage.record(self.store, self.projections, self._instance, self._release)
                await table_usage.drop_unused(self.store, self._grace_days)
            except (*TRANSIENT_ERRORS, StoreUnavailable) as error:
                await backoff.pause(error)
            else:
                backoff.reset()
                await asyncio.sleep(table_usage.RECORD_EVERY)
