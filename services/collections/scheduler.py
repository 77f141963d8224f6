"""Keeps the schedule: publishes what is due, whoever asked for it, and however often the service was restarted since.

Every replica runs it: which comes first makes no difference, since a collection decides by itself whether it is due.
"""

import asyncio
from datetime import datetime
from functools import partial
from uuid import UUID, uuid5

from services.collections.domain import publishing
from services.collections.domain.publishing import PublishWhenDue
from services.collections.handlers import COLLECTION, Handlers
from services.collections.projections.collections import COLLECTIONS
from shared.contracts.problem import Problem
from shared.eventstore import Context, EventStore, StoreUnavailable
from shared.http import get_logger

LOOK_SECONDS = 1.0
"""Seconds between two looks at the schedule, at least: there is one when the read table has changed."""
LONGEST_SECONDS = 30.0
"""The same at most, while something is scheduled: clocks may step."""
MAX_ROWS = 100
DUE_COLLECTIONS = """
select id, scheduled_for from collections_v4
where scheduled_for <= %s order by scheduled_for, id limit %s"""
NEXT_SCHEDULED = "select min(scheduled_for) from collections_v4"

log = get_logger("collections")


class Scheduler:
    def __init__(self, store: EventStore, handlers: Handlers) -> None:
        self._store, self._handlers = store, handlers

    async def run(self) -> None:
        """Runs until cancelled; PostgreSQL may come and go."""
        marks = self._store.watermarks
        while True:
            seen, published = marks.value(COLLECTIONS.watermark), 0
            seconds: float | None = 0.0
            try:
                published = await self.publish_what_is_due()
                seconds = await self._seconds_until_next()
            except StoreUnavailable as error:
                log.warning("the schedule waits for PostgreSQL", error=str(error))
            if published < MAX_ROWS:
                await asyncio.sleep(LOOK_SECONDS)
                await marks.wait_beyond(COLLECTIONS.watermark, seen, seconds)

    async def _seconds_until_next(self) -> float | None:
        """None when nothing is scheduled."""
        ((next_one,),) = await self._store.pool.rows(NEXT_SCHEDULED, ())
        if next_one is None:
            return None
        left: float = (next_one - self._handlers.clock()).total_seconds() - LOOK_SECONDS
        return min(max(left, 0.0), LONGEST_SECONDS)

    async def publish_what_is_due(self) -> int:
        """Publishes what the read table knows to be due now, or calls it off; says how many those were."""
        now = self._handlers.clock()
        async with self._store.reader() as cursor:
            await cursor.execute(DUE_COLLECTIONS, (now, MAX_ROWS))
            due = await cursor.fetchall()
        await asyncio.gather(*(self._publish(collection_id, when, now) for collection_id, when in due))
        return len(due)

    async def _publish(self, collection_id: UUID, when: datetime, now: datetime) -> None:
        context = Context(command_id=uuid5(collection_id, f"publish at {when.isoformat()}"), actor="schedule")
        decide = partial(publishing.decide, PublishWhenDue(now))
        try:
            await self._store.handle(COLLECTION, collection_id, decide, context)
        except Problem as problem:
            log.warning("a collection was not published", collection_id=str(collection_id), problem=problem.detail)
