"""Following jobs while they run: what was recorded comes from the table of job events, progress from plain NATS.

One loop per process reads the table as the projector fills it, and hands each job's rows to those who follow it. A
follower that is too slow for that reads the table itself; nothing is kept for it without bound.
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
from shared.contracts.work import Progress
from shared.eventstore import EventStore
from shared.messaging.failures import is_transient

BATCH = 1000
MOST_KEPT = 500
"""Rows that are kept for one follower."""

NEWS: LiteralString = """
select position, job_id, event, data from job_events_v2 where position > %b order by position limit %b"""
OF_JOB: LiteralString = """
select position, job_id, event, data from job_events_v2
where job_id = %b and position > %b order by position limit %b"""
NEWEST: LiteralString = "select coalesce(max(position), 0) from job_events_v2"

log = structlog.get_logger()

_progress = msgspec.json.Decoder(Progress)


class JobEvent(msgspec.Struct, frozen=True):
    """One thing that clients are told. `position` None: it was not recorded, and is told once."""

    position: int | None
    event: str
    data: dict[str, Any]

    @property
    def is_last(self) -> bool:
        return self.event == "job_status" and self.data["status"] in TERMINAL


class Follower:
    """One who follows a job, from behind position `after`."""

    def __init__(self, hub: "JobEventHub", job_id: UUID, after: int) -> None:
        self._hub, self._job_id, self._after = hub, job_id, after
        self._rows: list[JobEvent] = []
        self._is_behind = True
        self._progress: dict[UUID, Progress] = {}
        self._woken = asyncio.Event()

    def offer(self, row: JobEvent) -> None:
        if len(self._rows) >= MOST_KEPT:
            self._rows.clear()
            self._is_behind = True
        elif not self._is_behind:
            self._rows.append(row)
        self._woken.set()

    def offer_progress(self, progress: Progress) -> None:
        """Only the newest of each step is kept."""
        self._progress[progress.sid] = progress
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
            rows = await self._hub.read(self._job_id, self._after)
            if len(rows) == BATCH:
                self._rows.clear()
                self._is_behind = True
        else:
            rows = []
        rows.extend(self._rows)
        self._rows.clear()
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

    async def read(self, job_id: UUID, after: int) -> list[JobEvent]:
        async with self._store.reader() as cursor:
            await cursor.execute(OF_JOB, (job_id, after, BATCH))
            return [JobEvent(position, event, data) for position, _, event, data in await cursor.fetchall()]

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
                await cursor.execute(NEWS, (last, BATCH))
                rows = await cursor.fetchall()
            for position, job_id, event, data in rows:
                last = position
                for follower in self._followers.get(job_id, ()):
                    follower.offer(JobEvent(position, event, data))
            if len(rows) < BATCH:
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


def _told(said: Progress) -> JobEvent:
    data = {
        "job_id": said.job_id,
        "gid": said.gid,
        "sid": said.sid,
        "step_id": said.component_id,
        "progress": min(max(said.progress, 0.0), 1.0),
        "message": said.message[:1000],
    }
    return JobEvent(None, "node_progress", data)
