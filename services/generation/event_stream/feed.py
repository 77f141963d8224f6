"""The stream of one followed job: a channel that its followers share, and the table for those behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.generation.event_stream.events import JobEvent, progress_event, recorded_event
from services.generation.event_stream.progress import ProgressLimiter
from services.generation.projections.job_events import SELECT_EVENTS_OF_JOB
from services.generation.workers.broker import BROKER_ERRORS, Broker
from shared.contracts.sizes import KIB
from shared.contracts.work import Progress
from shared.eventstore import EventStore
from shared.http.channel import Channel, Subscriber

PAGE_ROWS = 1000
PAGE_BYTES = 4 * 1024 * KIB
"""A page ends with the row that brings its data to this size."""

_progress = msgspec.json.Decoder(Progress)


class Page(msgspec.Struct, frozen=True):
    """Rows of the table. `floor`: the channel's before they were read, so that they include all up to it."""

    events: list[JobEvent]
    is_last: bool
    floor: int | None


class JobFeed:
    """A followed job. `floor`: the position up to which this process has read the table."""

    def __init__(self, store: EventStore, broker: Broker, job_id: UUID, floor: int | None) -> None:
        self._store, self._broker, self._job_id = store, broker, job_id
        self.channel = Channel[JobEvent](floor)
        self._readings: dict[int, asyncio.Task[Page]] = {}
        self._progress_users = 0
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()
        self._limiter = ProgressLimiter(lambda progress: self.channel.add(progress_event(progress), progress.sid))

    def publish(self, position: int, event: str, data: str | None) -> None:
        """Sends a row of the table to all followers. `data` is None if it was read while the job had no followers."""
        if data is None:
            self.channel.reset(position)
        else:
            self.channel.add(recorded_event(position, event, data))

    async def read(self, after: int) -> Page:
        """The first page of the job's rows after a position. Concurrent calls share one query."""
        task = self._readings.get(after)
        if task is None:
            task = self._readings[after] = asyncio.create_task(self._read(after))
            task.add_done_callback(lambda _: self._readings.pop(after, None))
        return await asyncio.shield(task)

    async def _read(self, after: int) -> Page:
        floor = self.channel.floor
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_EVENTS_OF_JOB, (self._job_id, after, PAGE_ROWS, PAGE_BYTES))
            events = [recorded_event(position, event, data) async for position, _, event, data in cursor]
        is_last = is_last_page([len(event.json) for event in events])
        if is_last and floor is not None and floor == self.channel.floor:
            self.channel.add_before(after, events)
        return Page(events, is_last, floor)

    @contextlib.asynccontextmanager
    async def progress(self) -> AsyncIterator[None]:
        """Within the block, the channel also has workers' progress, if there is a connection to NATS."""
        self._progress_users += 1
        try:
            async with self._subscribing:
                if self._subscription is None and self._broker.is_connected():
                    client = await self._broker.client()
                    self._subscription = await client.subscribe(f"progress.{self._job_id}.>", cb=self._on_progress)
            yield
        finally:
            self._progress_users -= 1
            if not self._progress_users and self._subscription is not None:
                subscription, self._subscription = self._subscription, None
                self._limiter.close()
                with contextlib.suppress(*BROKER_ERRORS):
                    await subscription.unsubscribe()

    async def _on_progress(self, message: Msg) -> None:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            progress = _progress.decode(message.data)
            if progress.job_id == self._job_id:
                self._limiter.note(progress)


class Follower:
    """One follower of a job: it reads the table until it has caught up, and then takes from the channel."""

    def __init__(self, feed: JobFeed, subscriber: Subscriber) -> None:
        self._feed, self._subscriber = feed, subscriber
        self._complete_to = subscriber.after
        """The position up to which it has received every event."""
        self._has_read = False

    async def next(self, timeout: float) -> list[JobEvent]:  # noqa: ASYNC109 - no events is an answer, no error
        """New recorded events in order, each once, then progress. Empty after `timeout` seconds without any."""
        events = await self._new_events()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not events:
                    await self._feed.channel.wait(self._subscriber)
                    events = await self._new_events()
        return events

    async def _new_events(self) -> list[JobEvent]:
        if not self._is_behind_channel():
            return self._feed.channel.take(self._subscriber)
        page = await self._feed.read(self._subscriber.after)
        if page.events:
            assert page.events[-1].id is not None
            self._subscriber.after = page.events[-1].id
        self._complete_to = max(self._complete_to, self._subscriber.after)
        if page.is_last:
            self._has_read = True
            self._complete_to = max(self._complete_to, page.floor or 0)
        return page.events

    def _is_behind_channel(self) -> bool:
        """Whether its next event may be in the table only."""
        floor = self._feed.channel.floor
        return not self._has_read if floor is None else max(self._complete_to, self._subscriber.after) < floor


def is_last_page(sizes: Sequence[int]) -> bool:
    """Whether a page with rows of these sizes has reached the end of the table."""
    return len(sizes) < PAGE_ROWS and sum(sizes) < PAGE_BYTES
