"""Publishes scheduled collections when they are due.

Every replica runs it: publishing is idempotent, and the collection's state decides whether it is due.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import LiteralString
from uuid import UUID, uuid5

from services.collections.deciders import COLLECTION
from services.collections.domain.collection import publishing
from services.collections.domain.collection.publishing import PublishWhenDue
from services.collections.projections.collections import COLLECTIONS
from shared.contracts.problem import Problem
from shared.eventstore import Context, EventStore, StoreUnavailable
from shared.telemetry import get_logger

MIN_INTERVAL_SECONDS = 1.0
"""Shortest time between two polls of the schedule. A change of the read table causes a poll, too."""
MAX_INTERVAL_SECONDS = 30.0
"""Longest time between two polls while a collection is scheduled, since a clock may be set forward."""
MAX_ROWS = 100
"""Collections that are published concurrently."""
FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
SELECT_DUE_COLLECTIONS: LiteralString = """
select id, scheduled_for from collections_v8
where scheduled_for <= %s and (scheduled_for, id) > (%s, %s) order by scheduled_for, id limit %s"""
SELECT_NEXT_SCHEDULED_TIME: LiteralString = "select min(scheduled_for) from collections_v8"

log = get_logger("collections")


class Scheduler:
    def __init__(self, store: EventStore, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    async def run(self) -> None:
        """Runs until cancelled; retries while PostgreSQL is unavailable."""
        marks = self._store.watermarks
        while True:
            position = marks.value(COLLECTIONS.watermark)
            seconds: float | None = 0.0
            try:
                await self.publish_due_collections()
                seconds = await self._seconds_until_next()
            except StoreUnavailable as error:
                log.warning("the schedule waits for PostgreSQL", error=str(error))
            await asyncio.sleep(MIN_INTERVAL_SECONDS)
            await marks.wait_beyond(COLLECTIONS.watermark, position, seconds)

    async def _seconds_until_next(self) -> float | None:
        """Until the next poll: 0 to MAX_INTERVAL_SECONDS, or None if nothing is scheduled."""
        ((next_time,),) = await self._store.pool.rows(SELECT_NEXT_SCHEDULED_TIME, ())
        if next_time is None:
            return None
        left: float = (next_time - self._clock()).total_seconds() - MIN_INTERVAL_SECONDS
        return min(max(left, 0.0), MAX_INTERVAL_SECONDS)

    async def publish_due_collections(self) -> None:
        """Publishes or calls off all collections that are due. One that fails does not block those after it."""
        now, last = self._clock(), FIRST
        while True:
            due = await self._store.pool.rows(SELECT_DUE_COLLECTIONS, (now, *last, MAX_ROWS))
            await asyncio.gather(*(self._publish(collection_id, when, now) for collection_id, when in due))
            if len(due) < MAX_ROWS:
                return
            collection_id, when = due[-1]
            last = (when, collection_id)

    async def _publish(self, collection_id: UUID, when: datetime, now: datetime) -> None:
        context = Context(command_id=uuid5(collection_id, f"publish at {when.isoformat()}"), actor="schedule")
        decide = partial(publishing.decide, PublishWhenDue(now))
        try:
            await self._store.handle(COLLECTION, collection_id, decide, context)
        except Problem as problem:
            log.warning("a collection was not published", collection_id=str(collection_id), problem=problem.detail)
