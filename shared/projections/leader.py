"""What the holder of a projector's lease does: it moves its tables together, and lets tables behind them catch up."""

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
from shared.eventstore.lease import Fenced as LeaseLost
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.garbage_collection import collected_seldom
from shared.projections import positions
from shared.projections.catch_up import advance, read
from shared.projections.failures import Stuck, TableFailed, describe
from shared.projections.positions import Fenced
from shared.projections.projection import WANTED_WATERMARK, Projection, watermark
from shared.projections.table import Table
from shared.projections.table_group import Fence, TableGroup
from shared.stopping import stop, together

TOGETHER = 1_000
"""Events per transaction of the tables that move together. A table that is this near to them may join them."""
CLAIM_EVERY = 1.0
"""Seconds between two tries to claim tables that another release's leader projects."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries of an event that fails: after an operator's skip or an outage, it goes on this soon."""
LET_GO_WITHIN = 1.0
REST = 0.2
"""Seconds between two transactions while events are few and nobody waits for them: what comes meanwhile shares one."""
UNWRITTEN_FOR = 1.0
"""Seconds for which positions are not written while no event changes a row."""

log = structlog.get_logger()


class Leader:
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
        """`rest`: see REST."""
        self._rest, self._moved_at = rest, float("-inf")
        self._store, self._lease, self._instance, self._fence = store, lease, instance, fence
        self._projections = {each.table: each for each in projections}
        self._reading = Backoff("read tables' events", on=(StoreUnavailable,))
        self._generation = store.epochs.generation
        self._mine: set[str] = set()
        """Tables that this leader has claimed."""
        self._behind: dict[str, asyncio.Task[None]] = {}
        """Tables that catch up, each in a task of its own."""
        self._arrived: dict[str, int] = {}
        """Tables that have almost caught up, with their positions: they wait to join the others."""
        self._news = f"tables of {lease}"
        """The watermark that counts what becomes of the tables that catch up; known to this process only."""

    async def run(self) -> None:
        """Runs until it is cancelled, is fenced off, or loses PostgreSQL."""
        async with self._connected() as connection:
            self._connection, self._together = connection, self._group(connection, [], 0)
            try:
                await self._start()
                await together(self._project(), self._claim_missing())
            finally:
                await stop(*self._behind.values())
                await self._let_go()

    async def _project(self) -> None:
        while True:
            await self._take_in()
            await self._round()
            self._raise_what_broke()

    def _connected(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncConnection]:
        return connected(self._store.dsn, "projector", WORK, autocommit=True, prepare_threshold=0)

    def _group(
        self, connection: psycopg.AsyncConnection, tables: Sequence[Table], position: int, status: str = "live"
    ) -> TableGroup:
        return TableGroup(connection, tables, position, lease=self._lease, status=status, fence=self._fence)

    async def _claim(self, connection: psycopg.AsyncConnection) -> dict[str, tuple[int, str]]:
        """The tables that this leader has newly claimed, with position and status."""
        claimed = await positions.claim(connection, list(self._projections), self._lease, self._instance)
        new = {name: stands for name, stands in claimed.items() if name not in self._mine}
        self._mine.update(new)
        return new

    async def _start(self) -> None:
        """Claims the tables. Those at the greatest position move together from the start; the others catch up."""
        mine = await self._claim(self._connection)
        healthy = [position for position, status in mine.values() if status != "failed"]
        self._together.position = max(healthy, default=0)
        for name, (position, status) in mine.items():
            if position == self._together.position and status != "failed":
                self._arrive(name, position)
            else:
                self._catch_up(name)

    async def _claim_missing(self) -> None:
        """Claims the tables that another release projects, too, when that release's leader is gone."""
        while len(self._mine) < len(self._projections):
            await asyncio.sleep(CLAIM_EVERY)
            async with self._store.pool.connection() as connection:
                for name in await self._claim(connection):
                    self._catch_up(name)
        await asyncio.Event().wait()  # all are ours, as long as we lead

    def _raise_when_the_store_went_back(self) -> None:
        """Positions that are remembered from before are void: they are assigned again, to other events."""
        if self._generation != self._store.epochs.generation:
            raise Fenced("the store went back to an earlier moment")

    def _raise_what_broke(self) -> None:
        for task in self._behind.values():
            if task.done():
                task.result()

    # Together

    async def _round(self) -> None:
        group = self._together
        if not group.tables:
            await self._wait({})
            return
        await self._have_rest()
        marks = self._store.watermarks
        believed = marks.value(HEAD_WATERMARK)
        try:
            batch = await self._reading.call(partial(read, self._store, group, TOGETHER))
            self._raise_when_the_store_went_back()
            if not batch.size:
                if believed > group.position:  # no such event: with this value, the loop would not wait
                    marks.lower(HEAD_WATERMARK, group.position)
                await self._wait({HEAD_WATERMARK: group.position + 1})
                return
            if batch.events:
                await group.apply(batch)
            else:
                await group.pass_over(batch.position, UNWRITTEN_FOR)
            self._moved_at = float("-inf") if batch.size >= TOGETHER else _now()
        except TableFailed as failure:
            # Each table catches up alone, so that the event at which one fails does not stop the others.
            for table in [failure.table] if failure.table else list(group.tables):
                log.warning("read_table_falls_behind", table=table.name, error=str(failure))
                group.remove(table)
                self._catch_up(table.name)
            return
        self._store.watermarks.observe(HEAD_WATERMARK, group.position)
        for name in group.names:
            self._store.watermarks.advance(watermark(name), group.position)

    async def _have_rest(self) -> None:
        rest = self._moved_at + self._rest - _now()
        if rest > 0:
            await self._store.watermarks.wait_beyond(WANTED_WATERMARK, self._together.position, rest)

    async def _wait(self, more: Mapping[str, int]) -> None:
        """Waits for more events, or for a table that has caught up, or can't."""
        marks, group = self._store.watermarks, self._together
        seen = marks.value(self._news)
        if not self._arrived and not any(task.done() for task in self._behind.values()):
            await group.write_position(UNWRITTEN_FOR)
            await marks.wait_for_any({**more, self._news: seen + 1}, group.seconds_to_write(UNWRITTEN_FOR))

    async def _take_in(self) -> None:
        """Lets tables that have almost caught up apply the last few events and join; the others wait meanwhile."""
        arrived, self._arrived = self._arrived, {}
        if arrived:
            await self._together.write_position()
        for name, position in arrived.items():
            if not self._together.tables:
                self._together.position = position
            try:
                self._together.add(await self._bring(name, position))
            except TableFailed:
                self._catch_up(name)
            else:
                self._store.watermarks.advance(watermark(name), self._together.position)

    async def _bring(self, name: str, position: int) -> Table:
        projection = self._projections[name]
        skips = await positions.skips_of(self._connection, name)
        try:
            table = await Table.open(self._connection, projection, skips=skips)
        except (KeyError, TypeError) as error:
            raise TableFailed(None, error) from error
        group, goal = self._group(self._connection, [table], position), self._together.position
        while True:
            batch = await read(self._store, group, TOGETHER, goal)
            await group.apply(batch if batch.size else Batch([], goal, 0))
            if group.position >= goal:
                return table

    # Behind

    def _arrive(self, name: str, position: int) -> None:
        self._arrived[name] = position
        self._store.watermarks.count(self._news)

    def _catch_up(self, name: str) -> None:
        task = asyncio.create_task(self._keep_catching_up(name))
        self._behind[name] = task
        task.add_done_callback(lambda _: self._store.watermarks.count(self._news))

    async def _keep_catching_up(self, name: str) -> None:
        """Tries until the table has caught up, through outages, and as long as it is stuck on an event."""
        backoff = Backoff(f"read table {name}", longest=LONGEST_PAUSE)
        while True:
            try:
                position = await self._bring_near(name)
            except (Fenced, LeaseLost):
                raise
            except Exception as error:  # noqa: BLE001 - no error of one table may stop the others
                await self._say_failed(name, error)
                await backoff.pause(error)
            else:
                del self._behind[name]
                self._arrive(name, position)
                return

    async def _bring_near(self, name: str) -> int:
        async with self._connected() as connection:
            skips = await positions.skips_of(connection, name)
            table = await Table.open(connection, self._projections[name], skips=skips)
            group = self._group(connection, [table], await positions.position_of(connection, name), "building")
            while True:
                goal = self._together.position if self._together.tables else await self._store.head()
                with collected_seldom():
                    await advance(self._store, group, goal, progress=lambda at, _: self._tell(name, at))
                self._raise_when_the_store_went_back()
                if self._together.position - group.position <= TOGETHER:
                    return group.position

    def _tell(self, name: str, position: int) -> None:
        self._store.watermarks.advance(watermark(name), position)

    async def _say_failed(self, name: str, error: Exception) -> None:
        """Records the table's error in the database, where every replica reads it; an outage is not recorded."""
        if isinstance(error, (*TRANSIENT_ERRORS, StoreUnavailable)):
            return
        event, cause = (error.event, error.cause) if isinstance(error, Stuck) else (None, error)
        with contextlib.suppress(psycopg.Error, OSError):
            async with self._store.pool.connection() as connection:
                await positions.fail(connection, name, self._lease, event, describe(cause))

    async def _let_go(self) -> None:
        """Releases the tables, so that another release's leader can claim them at once."""
        with contextlib.suppress(psycopg.Error, TimeoutError):
            async with asyncio.timeout(LET_GO_WITHIN):
                await positions.release(self._connection, self._lease, self._instance)


def _now() -> float:
    return asyncio.get_running_loop().time()
