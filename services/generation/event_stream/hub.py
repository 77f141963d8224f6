"""Following jobs while they run: recorded events come from the table of job events, progress from core NATS.

One loop per process reads the table as the projector fills it, and publishes each row to its job's channel. All
followers of a job share the channel, one subscription to its progress, and one encoding of each event. A follower that
is too slow for the channel, or begins earlier than it, reads the table; concurrent equal reads are one query.
"""

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

from services.generation.event_stream.events import JobEvent
from services.generation.event_stream.feed import PAGE_BYTES, PAGE_ROWS, Follower, JobFeed, is_last_page
from services.generation.projections.job_events import JOB_EVENTS, SELECT_NEW_EVENTS, SELECT_NEWEST_POSITION
from services.generation.workers.broker import Broker
from shared.backoff import Backoff
from shared.eventstore import EventStore
from shared.eventstore.watermarks import FALLBACK
from shared.handling.transient import is_transient


class JobEventHub:
    """The feeds of the jobs that are followed at this process."""

    def __init__(self, store: EventStore, broker: Broker) -> None:
        self._store, self._broker = store, broker
        self._feeds: dict[UUID, JobFeed] = {}
        self._read_to: int | None = None
        """The position up to which the table was read and published; None until it is known."""
        store.on_epoch(lambda _: self._restart_at(None))

    @property
    def followed(self) -> frozenset[UUID]:
        """The ids of the followed jobs."""
        return frozenset(self._feeds)

    def tell(self, job_id: UUID, event: JobEvent) -> None:
        """Sends an event that is not recorded to the followers of a job; it replaces the one before of its name."""
        if (feed := self._feeds.get(job_id)) is not None:
            feed.channel.add(event, event.event)

    def kept_bytes(self, job_id: UUID) -> int:
        """Bytes of events in memory for all followers of a job."""
        return self._feeds[job_id].channel.kept_bytes

    async def run(self) -> None:
        """Publishes what the projector adds to the table, until cancelled."""
        backoff = Backoff("job events", on=is_transient)
        while True:
            read_to = await backoff.call(self._publish_new)
            await self._store.watermarks.wait_beyond(JOB_EVENTS.watermark, read_to, FALLBACK)

    @contextlib.asynccontextmanager
    async def follow(self, job_id: UUID, after: int = 0, *, progress: bool = False) -> AsyncIterator[Follower]:
        """A follower of a job's events after a position; with `progress`, also of its workers' progress."""
        feed = self._feeds.get(job_id)
        if feed is None:
            feed = self._feeds[job_id] = JobFeed(self._store, self._broker, job_id, self._read_to)
        try:
            with feed.channel.subscribe(after) as subscriber:
                async with contextlib.AsyncExitStack() as stack:
                    if progress:
                        await stack.enter_async_context(feed.progress())
                    yield Follower(feed, subscriber)
        finally:
            if not feed.channel.subscribers:
                del self._feeds[job_id]

    async def _publish_new(self) -> int:
        """Publishes the new rows to the end of the table; the position that it has reached."""
        if self._read_to is None:
            async with self._store.reader() as cursor:
                await cursor.execute(SELECT_NEWEST_POSITION)
                row = await cursor.fetchone()
            self._restart_at(int(row[0]) if row else 0)
        read_to = self._read_to
        while read_to is not None:
            table_position = self._store.watermarks.value(JOB_EVENTS.watermark)
            rows = await self._new_rows(read_to) if self._feeds else []
            if self._read_to != read_to:
                break  # a new epoch of the store began meanwhile
            for position, job_id, event, data, _ in rows:
                self._read_to = read_to = position
                if job_id in self._feeds:
                    self._feeds[job_id].publish(position, event, data)
            if is_last_page([size for *_, size in rows]):
                # Without followers nothing is read: later followers read the table from the beginning.
                self._read_to = max(read_to, table_position)
                break
        return self._read_to or 0

    async def _new_rows(self, after: int) -> list[tuple[int, UUID, str, str | None, int]]:
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_NEW_EVENTS, (list(self._feeds), after, PAGE_ROWS, PAGE_BYTES))
            return await cursor.fetchall()

    def _restart_at(self, position: int | None) -> None:
        self._read_to = position
        for feed in self._feeds.values():
            feed.channel.reset(position)
