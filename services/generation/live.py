"""Following jobs while they run: what was recorded comes from the table of job events, progress from plain NATS.

One loop per process reads the table as the projector fills it, and hands each job's rows to those who follow it. A
follower that is too slow for that reads the table itself; nothing is kept for it without a bound, in rows and in bytes.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import structlog
from nats.aio.msg import Msg

from services.generation.broker import TROUBLE, Broker
from services.generation.projections.job_events import JOB_EVENTS, TERMINAL
from shared.backoff import Backoff
from shared.contracts.sizes import KIB
from shared.contracts.work import Progress
from shared.eventstore import EventStore
from shared.messaging.failures import is_transient

PAGE = 1000
PAGE_BYTES = 4 * 1024 * KIB
"""A page ends behind the row with which it has so many."""
MOST_KEPT = 500
"""Rows that are kept for one follower, and steps whose progress is."""
KEPT_BYTES = 1024 * KIB
MOST_SAID = 1000
"""Characters of what a worker says of its progress."""

NEWS: LiteralString = """
select position, job_id, event, data, size from (
  select page.*, sum(size) over (order by position) - size as before from (
    select position, job_id, event, data, octet_length(data::text) as size
    from job_events_v2 where position > %b order by position limit %b) page) counted
where before < %b order by position"""
OF_JOB: LiteralString = """
select position, job_id, event, data, size from (
  select page.*, sum(size) over (order by position) - size as before from (
    select position, job_id, event, data, octet_length(data::text) as size
    from job_events_v2 where job_id = %b and position > %b order by position limit %b) page) counted
where before < %b order by position"""
NEWEST: LiteralString = "select coalesce(max(position), 0) from job_events_v2"

log = structlog.get_logger()

_progress = msgspec.json.Decoder(Progress)


class JobEvent(msgspec.Struct, frozen=True):
    """One thing that clients are told. `position` None: it was not recorded, and is told once."""

    position: int | None
    event: str
    data: dict[str, Any]
    size: int = 0
    """Bytes of the data as JSON."""

    @property
    def is_last(self) -> bool:
        return self.event == "job_status" and self.data["status"] in TERMINAL


class Follower:
    """One who follows a job, from behind position `after`."""

    def __init__(self, hub: "JobEventHub", job_id: UUID, after: int) -> None:
        self._hub, self._job_id, self._after = hub, job_id, after
        self._rows: list[JobEvent] = []
        self.kept_bytes = 0
        self._is_behind = True
        self._progress: dict[UUID, Progress] = {}
        self._woken = asyncio.Event()

    def offer(self, row: JobEvent) -> None:
        if len(self._rows) >= MOST_KEPT or self.kept_bytes + row.size > KEPT_BYTES:
            self._take_kept()
            self._is_behind = True
        elif not self._is_behind:
            self._rows.append(row)
            self.kept_bytes += row.size
        self._woken.set()

    def _take_kept(self) -> list[JobEvent]:
        rows, self._rows, self.kept_bytes = self._rows, [], 0
        return rows

    def offer_progress(self, progress: Progress) -> None:
        """Only the newest of each step is kept, of the steps that were heard of last."""
        self._progress.pop(progress.sid, None)
        self._progress[progress.sid] = msgspec.structs.replace(progress, message=progress.message[:MOST_SAID])
        if len(self._progress) > MOST_KEPT:
            del self._progress[next(iter(self._progress))]
        self._woken.set()

    async def next(self, timeout: float) -> list[JobEvent]:  # noqa: ASYNC109 - nothing new is an answer, no error
        """What is new: recorded events in order, each once, then progress. Empty after `timeout` seconds of nothing."""
        news = await self._recorded()
        if not news and not self._progress:
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), timeout)
            news = await self._recorded()
        waiting, self._progress = self._progress, {}
        return [*news, *(_told(progress) for progress in waiting.values())]

    async def _recorded(self) -> list[JobEvent]:
        if self._is_behind:
            # Rows that are offered from now on are newer than those read now, or among them.
            self._is_behind = False
            rows, is_all = await self._hub.read(self._job_id, self._after)
            if not is_all:
                self._take_kept()
                self._is_behind = True
        else:
            rows = []
        rows.extend(self._take_kept())
        news = []
        for row in rows:
            assert row.position is not None
            if row.position > self._after:
                self._after = row.position
                news.append(row)
        return news


class JobEventHub:
    def __init__(self, store: EventStore, broker: Broker) -> None:
        self._store, self._broker = store, broker
        self._followers: defaultdict[UUID, set[Follower]] = defaultdict(set)

    @property
    def followed(self) -> frozenset[UUID]:
        """The jobs that somebody follows."""
        return frozenset(self._followers)

    async def run(self) -> None:
        """Reads what the projector adds, until cancelled."""
        last: int | None = None
        backoff = Backoff("job events", on=is_transient)
        while True:
            last = await backoff.call(partial(self._after, last))
            await self._store.watermarks.wait_beyond(JOB_EVENTS.watermark, last)

    async def _after(self, last: int | None) -> int:
        return await self._newest() if last is None else await self._hand_out(last)

    @contextlib.asynccontextmanager
    async def follow(self, job_id: UUID, after: int = 0, *, progress: bool = False) -> AsyncIterator[Follower]:
        """Follows a job for the length of a block; with `progress`, also what its workers say meanwhile."""
        follower = Follower(self, job_id, after)
        self._followers[job_id].add(follower)
        try:
            async with contextlib.AsyncExitStack() as stack:
                if progress:
                    await stack.enter_async_context(self._progress_of(job_id, follower))
                yield follower
        finally:
            self._followers[job_id].discard(follower)
            if not self._followers[job_id]:
                del self._followers[job_id]

    async def read(self, job_id: UUID, after: int) -> tuple[list[JobEvent], bool]:
        """The first page of a job's rows behind a position, and whether there are no more."""
        async with self._store.reader() as cursor:
            await cursor.execute(OF_JOB, (job_id, after, PAGE, PAGE_BYTES))
            rows = [JobEvent(position, event, data, size) async for position, _, event, data, size in cursor]
        return rows, _is_last_page(rows)

    async def _newest(self) -> int:
        async with self._store.reader() as cursor:
            await cursor.execute(NEWEST)
            row = await cursor.fetchone()
            return int(row[0]) if row else 0

    async def _hand_out(self, last: int) -> int:
        if not self._followers:
            # Nobody follows: whoever comes later reads what is there then.
            return max(last, self._store.watermarks.value(JOB_EVENTS.watermark))
        while True:
            reached = self._store.watermarks.value(JOB_EVENTS.watermark)
            async with self._store.reader() as cursor:
                await cursor.execute(NEWS, (last, PAGE, PAGE_BYTES))
                rows = [(job_id, JobEvent(position, *more)) async for position, job_id, *more in cursor]
            for job_id, row in rows:
                last = row.position or last
                for follower in self._followers.get(job_id, ()):
                    follower.offer(row)
            if _is_last_page([row for _, row in rows]):
                return max(last, reached)

    @contextlib.asynccontextmanager
    async def _progress_of(self, job_id: UUID, follower: Follower) -> AsyncIterator[None]:
        """Without a broker there is no progress, and everything else goes on."""

        async def take(message: Msg) -> None:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                said = _progress.decode(message.data)
                if said.job_id == job_id:
                    follower.offer_progress(said)

        if not self._broker.is_connected():
            yield
            return
        client = await self._broker.client()
        subscription = await client.subscribe(f"progress.{job_id}.>", cb=take)
        try:
            yield
        finally:
            with contextlib.suppress(*TROUBLE):
                await subscription.unsubscribe()


def _is_last_page(rows: list[JobEvent]) -> bool:
    return len(rows) < PAGE and sum(row.size for row in rows) < PAGE_BYTES


def _told(said: Progress) -> JobEvent:
    data = {
        "job_id": said.job_id,
        "gid": said.gid,
        "sid": said.sid,
        "step_id": said.component_id,
        "progress": min(max(said.progress, 0.0), 1.0),
        "message": said.message,
    }
    return JobEvent(None, "node_progress", data)
