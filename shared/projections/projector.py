"""The projector: it follows its service's store and applies each event once to the service's read tables.

Rows and positions are committed in one transaction, which also checks the positions, so a second projector that has
lost the lease without knowing it can't write. Tables at the same position advance as one group, which reads and decodes
each event once. A table that is behind (new, rebuilt, or stuck on an event) catches up alone, and then joins the group.

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
import structlog

from shared import progress
from shared.backoff import Backoff
from shared.eventstore import EventStore, Schema, StoreUnavailable
from shared.eventstore.connections import LONG, TRANSIENT_ERRORS, connected
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import BLOCKED, LOCK_MIGRATIONS, PATIENCE, migrate
from shared.projections import positions, table_usage
from shared.projections.leader import REST, Leader
from shared.projections.position_waiter import PositionWaiter
from shared.projections.projection import Projection
from shared.projections.table import Table
from shared.stopping import stop

SCHEMA = Schema("projections", Path(__file__).parent / "migrations")

# Counts up to 10,000 events per table, so that the query stays cheap.
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
    """How far a read table is behind: in events (up to 10,000), and in seconds since the first of them was recorded.

    `status` is live, building (it catches up) or failed; then `event` is the one on which it is stuck, and `error` that
    of the last try. `skipped` is the number of events that an operator has skipped.
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
    """One per process: it projects while it holds the lease, and reports progress always."""

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
        """The lease's name: one of the replicas with the same tables projects them."""
        self._rest = rest
        self.caught_up = PositionWaiter(store, self._names).caught_up

    async def prepare(self) -> None:
        """Creates the missing tables, so that queries work before the first event. Raises as `migrate` does."""
        await migrate(self.store.dsn, SCHEMA)
        await Backoff("read tables", on=BLOCKED).call(self._create_missing, timeout=PATIENCE)

    async def _create_missing(self) -> None:
        async with connected(self.store.dsn, "projector", LONG) as connection:
            await connection.execute(LOCK_MIGRATIONS)
            for projection in self.projections:
                await Table.create(connection, projection, projection.table)
                await positions.register(connection, projection.table)

    async def run(self) -> None:
        """Projects while this replica holds the lease, until cancelled."""
        if not self.projections:
            return
        recording = asyncio.create_task(self._record_usage())
        try:
            await run_as_leader(self.store, self.lease, self._lead)
        finally:
            await stop(recording)

    async def lag(self) -> list[Lag]:
        """The lag of each table, ordered by name."""
        async with self.store.pool.connection() as connection:
            rows = await (await connection.execute(SELECT_LAG, (self._names,))).fetchall()
        return [Lag(*row) for row in rows]

    async def progress(self) -> list[progress.Progress]:
        """The same on every replica, also for a table that is stuck, or that no replica projects."""
        return [
            progress.Progress(
                name=f"projection {table.name}",
                waiting=table.events,
                waiting_seconds=table.seconds,
                event=table.event,
                error=table.error or ("it is being built" if table.status == "building" and table.events else None),
                leader=table.leader or None,
            )
            for table in await self.lag()
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

    async def _record_usage(self) -> None:
        """Records at intervals which tables this process uses; drops those unused by all for `grace_days`."""
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
