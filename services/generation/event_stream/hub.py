"""Following jobs while they run: what was recorded comes from the table of job events, progress from plain NATS.

One loop per process reads the table as the projector fills it, and tells each job's events in the job's channel: one
for all who follow it, with one subscription to its progress and one encoding of each event. A follower that is too slow
for the channel, or comes later, reads the table itself; several that read the same read it once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.generation.broker import TROUBLE, Broker
from services.generation.projections.job_events import JOB_EVENTS, TERMINAL
from shared.backoff import Backoff
from shared.contracts.sizes import KIB
from shared.contracts.work import Progress
from shared.eventstore import EventStore
from shared.eventstore.watermarks import FALLBACK
from shared.handling.transient import is_transient
from shared.http.channel import Channel, Frame, Subscriber

PAGE = 1000
PAGE_BYTES = 4 * 1024 * KIB
"""A page ends behind the row with which it has so many."""
MOST_SAID = 1000
"""Characters of what a worker says of its progress."""

# The data only of the jobs that are followed.
NEWS: LiteralString = """
select position, job_id, event, data, size from (
  select page.*, sum(size) over (order by position) - size as before from (
    select position, job_id, event, wanted.data, coalesce(octet_length(wanted.data), 0) as size
    from job_events_v2 row
      cross join lateral (select case when job_id = any(%b) then row.data::text end as data) wanted
    where position > %b order by position limit %b) page) counted
where before < %b order by position"""
OF_JOB: LiteralString = """
select position, job_id, event, data from (
  select page.*, sum(octet_length(data)) over (order by position) - octet_length(data) as before from (
    select position, job_id, event, data::text as data
    from job_events_v2 where job_id = %b and position > %b order by position limit %b) page) counted
where before < %b order by position"""
NEWEST: LiteralString = "select coalesce(max(position), 0) from job_events_v2"

_progress = msgspec.json.Decoder(Progress)


class JobEvent(Frame, frozen=True, kw_only=True):
    """One thing that clients are told, as they are sent it. Without an id it was not recorded, and is told once."""

    event: str
    json: bytes

    @property
    def data(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.json)
        return decoded


def recorded_event(position: int, event: str, data: str) -> JobEvent:
    """An event from its row. The data is JSON without line breaks, as the projector has written it."""
    json = data.encode()
    return JobEvent(
        id=position,
        encoded=b"id: %d\nevent: %s\ndata: %s\n\n" % (position, event.encode(), json),
        is_last=event == "job_status" and msgspec.json.decode(json)["status"] in TERMINAL,
        event=event,
        json=json,
    )


class Follower:
    """One who follows a job, from behind position `after`."""

    def __init__(self, job: "_Followed", subscriber: Subscriber) -> None:
        self._job, self._subscriber = job, subscriber
        self._sure = subscriber.after
        """Up to here it has been told everything."""
        self._has_read = False

    async def next(self, timeout: float) -> list[JobEvent]:  # noqa: ASYNC109 - nothing new is an answer, no error
        """What is new: recorded events in order, each once, then progress. Empty after `timeout` seconds of nothing."""
        news = await self._news()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not news:
                    await self._job.channel.wait(self._subscriber)
                    news = await self._news()
        return news

    async def _news(self) -> list[JobEvent]:
        if not self._is_behind():
            return self._job.channel.take(self._subscriber)
        page = await self._job.read(self._subscriber.after)
        if page.rows:
            assert page.rows[-1].id is not None
            self._subscriber.after = page.rows[-1].id
        self._sure = max(self._sure, self._subscriber.after)
        if page.is_all:
            self._has_read = True
            self._sure = max(self._sure, page.floor or 0)
        return page.rows

    def _is_behind(self) -> bool:
        """Whether what it has not been told is only in the table."""
        floor = self._job.channel.floor
        return not self._has_read if floor is None else max(self._sure, self._subscriber.after) < floor


class _Page(msgspec.Struct, frozen=True):
    rows: list[JobEvent]
    is_all: bool
    """Whether the table had no more."""
    floor: int | None
    """The channel's floor before the table was read: whatever was recorded up to it was there."""


class _Followed:
    """A job that somebody follows."""

    def __init__(self, store: EventStore, broker: Broker, job_id: UUID, floor: int | None) -> None:
        self._store, self._broker, self._job_id = store, broker, job_id
        self.channel = Channel[JobEvent](floor)
        self._readings: dict[int, asyncio.Task[_Page]] = {}
        self._listeners = 0
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()

    def tell(self, position: int, event: str, data: str | None) -> None:
        """A row of the table, to all who follow. None: its data was not read, since nobody followed then."""
        if data is None:
            self.channel.reset(position)
        else:
            self.channel.add(recorded_event(position, event, data))

    async def read(self, after: int) -> _Page:
        """The first page of the job's rows behind a position. Who asks for it at the same time gets the same."""
        task = self._readings.get(after)
        if task is None:
            task = self._readings[after] = asyncio.create_task(self._read(after))
            task.add_done_callback(lambda _: self._readings.pop(after, None))
        return await asyncio.shield(task)

    async def _read(self, after: int) -> _Page:
        floor = self.channel.floor
        async with self._store.reader() as cursor:
            await cursor.execute(OF_JOB, (self._job_id, after, PAGE, PAGE_BYTES))
            rows = [recorded_event(position, event, data) async for position, _, event, data in cursor]
        is_all = _is_last_page([len(row.json) for row in rows])
        if is_all and floor is not None and floor == self.channel.floor:
            self.channel.add_before(after, rows)
        return _Page(rows, is_all, floor)

    @contextlib.asynccontextmanager
    async def progress(self) -> AsyncIterator[None]:
        """For the length of a block, its channel tells what workers say. Without a broker there is no progress."""
        self._listeners += 1
        try:
            async with self._subscribing:
                if self._subscription is None and self._broker.is_connected():
                    client = await self._broker.client()
                    self._subscription = await client.subscribe(f"progress.{self._job_id}.>", cb=self._take)
            yield
        finally:
            self._listeners -= 1
            if not self._listeners and self._subscription is not None:
                subscription, self._subscription = self._subscription, None
                with contextlib.suppress(*TROUBLE):
                    await subscription.unsubscribe()

    async def _take(self, message: Msg) -> None:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            said = _progress.decode(message.data)
            if said.job_id == self._job_id:
                self.channel.add(told(said), said.sid)


class JobEventHub:
    def __init__(self, store: EventStore, broker: Broker) -> None:
        self._store, self._broker = store, broker
        self._jobs: dict[UUID, _Followed] = {}
        self._last: int | None = None
        """Everything that was recorded up to here was told to who followed then."""
        store.on_epoch(lambda _: self._start_at(None))

    @property
    def followed(self) -> frozenset[UUID]:
        """The jobs that somebody follows."""
        return frozenset(self._jobs)

    def kept_bytes(self, job_id: UUID) -> int:
        """What is kept of a job for all who follow it."""
        return self._jobs[job_id].channel.kept_bytes

    async def run(self) -> None:
        """Reads what the projector adds, until cancelled."""
        backoff = Backoff("job events", on=is_transient)
        while True:
            last = await backoff.call(self._go_on)
            await self._store.watermarks.wait_beyond(JOB_EVENTS.watermark, last, FALLBACK)

    @contextlib.asynccontextmanager
    async def follow(self, job_id: UUID, after: int = 0, *, progress: bool = False) -> AsyncIterator[Follower]:
        """Follows a job for the length of a block; with `progress`, also what its workers say meanwhile."""
        job = self._jobs.get(job_id)
        if job is None:
            job = self._jobs[job_id] = _Followed(self._store, self._broker, job_id, self._last)
        try:
            with job.channel.subscribe(after) as subscriber:
                async with contextlib.AsyncExitStack() as stack:
                    if progress:
                        await stack.enter_async_context(job.progress())
                    yield Follower(job, subscriber)
        finally:
            if not job.channel.subscribers:
                del self._jobs[job_id]

    async def _go_on(self) -> int:
        if self._last is None:
            async with self._store.reader() as cursor:
                await cursor.execute(NEWEST)
                row = await cursor.fetchone()
            self._start_at(int(row[0]) if row else 0)
        last = self._last
        while last is not None:
            reached = self._store.watermarks.value(JOB_EVENTS.watermark)
            rows = await self._news(last) if self._jobs else []
            if self._last != last:
                break  # an epoch has begun meanwhile
            for position, job_id, event, data, _ in rows:
                self._last = last = position
                if job_id in self._jobs:
                    self._jobs[job_id].tell(position, event, data)
            if _is_last_page([size for *_, size in rows]):
                # Who comes while nobody follows reads what is there then.
                self._last = max(last, reached)
                break
        return self._last or 0

    async def _news(self, last: int) -> list[tuple[int, UUID, str, str | None, int]]:
        async with self._store.reader() as cursor:
            await cursor.execute(NEWS, (list(self._jobs), last, PAGE, PAGE_BYTES))
            return await cursor.fetchall()

    def _start_at(self, last: int | None) -> None:
        self._last = last
        for job in self._jobs.values():
            job.channel.reset(last)


def _is_last_page(sizes: list[int]) -> bool:
    return len(sizes) < PAGE and sum(sizes) < PAGE_BYTES


def told(said: Progress) -> JobEvent:
    """What a worker says, as followers are told it."""
    data = {
        "job_id": said.job_id,
        "gid": said.gid,
        "sid": said.sid,
        "step_id": said.component_id,
        "progress": min(max(said.progress, 0.0), 1.0),
        "message": said.message[:MOST_SAID],
    }
    json = msgspec.json.encode(data)
    return JobEvent(id=None, encoded=b"event: node_progress\ndata: %s\n\n" % json, event="node_progress", json=json)
