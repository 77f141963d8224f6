"""The holder of a projector's lease: it moves its tables as one group, and lets tables that are behind catch up."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
import structlog

from shared.backoff import Backoff
from shared.eventstore import Batch, EventStore, StoreUnavailable
from shared.eventstore.connections import TRANSIENT_ERRORS, WORK, connected
from shared.eventstore.lease import Fenced
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.garbage_collection import collect_seldom
from shared.projections import positions
from shared.projections.catch_up import advance, read
from shared.projections.failures import Stuck, TableFailed, describe
from shared.projections.positions import OutdatedPosition
from shared.projections.projection import WANTED_WATERMARK, Projection, watermark
from shared.projections.table import Table
from shared.projections.table_group import Fence, TableGroup
from shared.stopping import run_together, stop

GROUP_BATCH = 1_000
"""Events per transaction of the group. A table that is no more positions behind may join it."""
CLAIM_EVERY = 1.0
"""Seconds between two tries to claim tables of another release's leader."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries of an event that fails: so soon a table continues after a skip or an outage."""
RELEASE_WITHIN = 1.0
"""Seconds."""
REST = 0.2
"""Seconds between two transactions while events are few and no reader waits: events in between share one."""
UNWRITTEN_FOR = 1.0
"""Seconds for which a position may stay unwritten while no event changes a row."""

log = structlog.get_logger()


class Leader:
    """Projects the tables while its process holds the lease."""

    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection[Any]],
        *,
        lease: str,
        instance: str,
        fence: Fence | None = None,
        rest: float = 0.0,
    ) -> None:
        """`rest`: seconds between two transactions, as REST says; 0: none."""
        self._rest, self._moved_at = rest, float("-inf")
        self._store, self._lease, self._instance, self._fence = store, lease, instance, fence
        self._projections = {projection.table: projection for projection in projections}
        self._reading = Backoff("read tables' events", on=(StoreUnavailable,))
        self._generation = store.epochs.generation
        self._claimed: set[str] = set()
        """Names of the tables that this leader has claimed."""
        self._catching_up: dict[str, asyncio.Task[None]] = {}
        """Tasks of the tables that catch up."""
        self._ready: dict[str, int] = {}
        """Positions of the tables that have almost caught up, and wait to join the group."""
        self._catch_up_watermark = f"tables of {lease}"
        """The watermark that counts results of tables that catch up; local to this process."""

    async def run(self) -> None:
        """Runs until cancelled. Raises when another leader has taken over, and when the connection is lost."""
        async with self._connected() as connection:
            self._connection, self._group = connection, self._new_group(connection, [], 0)
            try:
                await self._start()
                await run_together(self._project(), self._claim_missing())
            finally:
                await stop(*self._catching_up.values())
                await self._release_tables()

    async def _project(self) -> None:
        while True:
            await self._join_ready_tables()
            await self._project_batch()
            self._raise_failures()

    def _connected(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncConnection]:
        return connected(self._store.dsn, "projector", WORK, autocommit=True, prepare_threshold=0)

    def _new_group(
        self, connection: psycopg.AsyncConnection, tables: Sequence[Table], position: int, status: str = "live"
    ) -> TableGroup:
        return TableGroup(connection, tables, position, lease=self._lease, status=status, fence=self._fence)

    async def _claim(self, connection: psycopg.AsyncConnection) -> dict[str, tuple[int, str]]:
        """Claims tables; returns position and status of those that are new."""
        claimed = await positions.claim(connection, list(self._projections), self._lease, self._instance)
        new = {name: state for name, state in claimed.items() if name not in self._claimed}
        self._claimed.update(new)
        return new

    async def _start(self) -> None:
        """Claims the tables. Those at the highest position form the group; the others catch up."""
        claimed = await self._claim(self._connection)
        healthy = [position for position, status in claimed.values() if status != "failed"]
        self._group.position = max(healthy, default=0)
        for name, (position, status) in claimed.items():
            if position == self._group.position and status != "failed":
                self._mark_ready(name, position)
            else:
                self._start_catching_up(name)

    async def _claim_missing(self) -> None:
        """Claims tables of another release's leader once that one has gone."""
        while len(self._claimed) < len(self._projections):
            await asyncio.sleep(CLAIM_EVERY)
            async with self._store.pool.connection() as connection:
                for name in await self._claim(connection):
                    self._start_catching_up(name)
        await asyncio.Event().wait()  # all are claimed, as long as this process leads

    def _check_generation(self) -> None:
        """Raises OutdatedPosition when the store went back: it assigns positions again, to other events."""
        if self._generation != self._store.epochs.generation:
            raise OutdatedPosition("the store went back to an earlier moment")

    def _raise_failures(self) -> None:
        for task in self._catching_up.values():
            if task.done():
                task.result()

    # The group

    async def _project_batch(self) -> None:
        group = self._group
        if not group.tables:
            await self._wait({})
            return
        await self._rest_until_wanted()
        watermarks = self._store.watermarks
        head = watermarks.value(HEAD_WATERMARK)
        try:
            batch = await self._reading.call(partial(read, self._store, group, GROUP_BATCH))
            self._check_generation()
            if not batch.size:
                if head > group.position:  # there is no such event: with this value, the loop would not wait
                    watermarks.lower(HEAD_WATERMARK, group.position)
                await self._wait({HEAD_WATERMARK: group.position + 1})
                return
            if batch.events:
                await group.apply(batch)
            else:
                await group.pass_over(batch.position, UNWRITTEN_FOR)
            self._moved_at = float("-inf") if batch.size >= GROUP_BATCH else _now()
        except TableFailed as failure:
            # The failed table catches up alone, so that its event does not stop the others.
            for table in [failure.table] if failure.table else list(group.tables):
                log.warning("read_table_falls_behind", table=table.name, error=str(failure))
                group.remove(table)
                self._start_catching_up(table.name)
            return
        self._store.watermarks.observe(HEAD_WATERMARK, group.position)
        for name in group.names:
            self._store.watermarks.advance(watermark(name), group.position)

    async def _rest_until_wanted(self) -> None:
        rest = self._moved_at + self._rest - _now()
        if rest > 0:
            await self._store.watermarks.wait_beyond(WANTED_WATERMARK, self._group.position, rest)

    async def _wait(self, goals: Mapping[str, int]) -> None:
        """Waits until a watermark reaches its value in `goals`, or for a result of a table that catches up."""
        watermarks, group = self._store.watermarks, self._group
        count = watermarks.value(self._catch_up_watermark)
        if not self._ready and not any(task.done() for task in self._catching_up.values()):
            await group.write_position(UNWRITTEN_FOR)
            values = {**goals, self._catch_up_watermark: count + 1}
            await watermarks.wait_for_any(values, group.seconds_to_write(UNWRITTEN_FOR))

    async def _join_ready_tables(self) -> None:
        """Lets the tables that have almost caught up apply the last events and join; the group waits meanwhile."""
        ready, self._ready = self._ready, {}
        if ready:
            await self._group.write_position()
        for name, position in ready.items():
            if not self._group.tables:
                self._group.position = position
            try:
                self._group.add(await self._bring_to_group(name, position))
            except TableFailed:
                self._start_catching_up(name)
            else:
                self._store.watermarks.advance(watermark(name), self._group.position)

    async def _bring_to_group(self, name: str, position: int) -> Table:
        projection = self._projections[name]
        skips = await positions.skips_of(self._connection, name)
        try:
            table = await Table.open(self._connection, projection, skips=skips)
        except (KeyError, TypeError) as error:
            raise TableFailed(None, error) from error
        group = self._new_group(self._connection, [table], position)
        goal = self._group.position
        while True:
            batch = await read(self._store, group, GROUP_BATCH, goal)
            await group.apply(batch if batch.size else Batch([], goal, 0))
            if group.position >= goal:
                return table

    # Catching up

    def _mark_ready(self, name: str, position: int) -> None:
        self._ready[name] = position
        self._store.watermarks.count(self._catch_up_watermark)

    def _start_catching_up(self, name: str) -> None:
        task = asyncio.create_task(self._catch_up(name))
        self._catching_up[name] = task
        task.add_done_callback(lambda _: self._store.watermarks.count(self._catch_up_watermark))

    async def _catch_up(self, name: str) -> None:
        """Retries until the table has caught up: through outages, and while it is stuck on an event."""
        backoff = Backoff(f"read table {name}", longest=LONGEST_PAUSE)
        while True:
            try:
                position = await self._advance_near_group(name)
            except (Fenced, OutdatedPosition):
                raise
            except Exception as error:  # noqa: BLE001 - no error of one table may stop the others
                await self._record_failure(name, error)
                await backoff.pause(error)
            else:
                del self._catching_up[name]
                self._mark_ready(name, position)
                return

    async def _advance_near_group(self, name: str) -> int:
        async with self._connected() as connection:
            skips = await positions.skips_of(connection, name)
            table = await Table.open(connection, self._projections[name], skips=skips)
            group = self._new_group(connection, [table], await positions.position_of(connection, name), "building")
            while True:
                goal = self._group.position if self._group.tables else await self._store.head()
                with collect_seldom():
                    await advance(self._store, group, goal, progress=lambda at, _: self._advance_watermark(name, at))
                self._check_generation()
                if self._group.position - group.position <= GROUP_BATCH:
                    return group.position

    def _advance_watermark(self, name: str, position: int) -> None:
        self._store.watermarks.advance(watermark(name), position)

    async def _record_failure(self, name: str, error: Exception) -> None:
        """Records the table's error in the database for all replicas, unless it is an outage."""
        if isinstance(error, (*TRANSIENT_ERRORS, StoreUnavailable)):
            return
        event, cause = (error.event, error.cause) if isinstance(error, Stuck) else (None, error)
        with contextlib.suppress(psycopg.Error, OSError):
            async with self._store.pool.connection() as connection:
                await positions.fail(connection, name, self._lease, event, describe(cause))

    async def _release_tables(self) -> None:
        """Releases the tables, so that another leader can claim them at once."""
        with contextlib.suppress(psycopg.Error, TimeoutError):
            async with asyncio.timeout(RELEASE_WITHIN):
                await positions.release(self._connection, self._lease, self._instance)


def _now() -> float:
    return asyncio.get_running_loop().time()
