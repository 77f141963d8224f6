"""What unfinished jobs wait for, and how long they may take: from open steps, connected workers and earlier jobs."""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import LiteralString, assert_never
from uuid import UUID

import msgspec

from services.generation.projections.open_steps import SELECT_WAITS_OF_JOBS
from services.generation.views.job import JobSummary, WaitingFor
from services.generation.workers.connected_workers import SILENT_SECONDS, ConnectedWorkers
from shared.eventstore import EventStore

MAX_WORKING = 20_000
"""The most sids of attempts in progress that are passed to a query."""
SELECT_OPEN: LiteralString = """
select job_id, status, is_paused from jobs_v5 where job_id = any(%s) and status in ('pending', 'processing')"""
SELECT_PACE: LiteralString = """
select extract(epoch from sum(completed_at - started_at))::float8 / sum(total) from (
  select started_at, completed_at, total from jobs_v5
  where workflows = (select workflows from jobs_v5 where job_id = %s)
    and status = 'completed' and started_at is not null and total > 0
  order by position desc limit 20) past"""
"""Seconds per generation of the last completed jobs, of all users, that ran the workflows of a job."""


class KindOfSteps(msgspec.Struct, frozen=True):
    """A job's open steps of one kind: how many, how many of them wait for the end of a backoff, and the first such end.

    `since`: when the first of those became ready that are not in progress.
    `ahead`: other jobs' steps of the kind that were ready earlier, and are neither in progress nor paused. `paused`:
    their workflows, if operators have paused all of these.
    """

    kind: str
    count: int
    working: int
    delayed: int
    until: datetime | None
    ahead: int
    paused: Sequence[str] = ()
    since: datetime | None = None


NO_TIMES: Mapping[str, datetime] = {}


def waiting_for(
    status: str,
    kinds: Sequence[KindOfSteps],
    offered: Collection[str] | None,
    *,
    is_paused: bool = False,
    left: Mapping[str, datetime] = NO_TIMES,
) -> WaitingFor | None:
    """None for a job of which something is in progress, or that has ended. `offered`: None if it is not known.

    `left`: when the last connected worker of a kind was gone, where that was seen.
    """
    if status == "pending":
        wait = WaitingFor("credits")
    elif status != "processing" or any(kind.working for kind in kinds):
        return None
    elif is_paused:
        wait = WaitingFor("paused")
    else:
        wait = _waiting_steps(kinds, offered, left) if kinds else WaitingFor("turn")
    return msgspec.structs.replace(wait, message=sentence(wait))


def sentence(wait: WaitingFor) -> str:
    """What a job waits for, for people."""
    names = ", ".join(wait.services)
    match wait.reason:
        case "credits":
            return "Its credits are not held yet"
        case "turn":
            return "Other generations of its user, or of other users, go first"
        case "unworkable":
            return f"No connected worker does {names}: it goes on when one connects"
        case "workers":
            return f"It is queued for the workers that do {names}, behind at most {wait.steps_ahead or 0} other steps"
        case "retry":
            return "An attempt has failed, and is repeated" + (f" at {wait.until:%H:%M:%S %Z}" if wait.until else "")
        case "paused":
            return f"An operator has paused {', '.join(wait.workflows) or 'it'}"
    assert_never(wait.reason)


def _waiting_steps(
    kinds: Sequence[KindOfSteps], offered: Collection[str] | None, left: Mapping[str, datetime]
) -> WaitingFor:
    if all(kind.paused for kind in kinds):
        return WaitingFor("paused", workflows=sorted({name for kind in kinds for name in kind.paused}))
    kinds = [kind for kind in kinds if not kind.paused]
    missing = [] if offered is None else [kind.kind for kind in kinds if kind.kind not in offered]
    if missing and len(missing) == len(kinds):
        since = min((_latest(kind.since, left.get(kind.kind)) for kind in kinds), key=_order)
        return WaitingFor("unworkable", services=missing, since=since)
    if all(kind.delayed == kind.count for kind in kinds):
        return WaitingFor("retry", until=min((kind.until for kind in kinds if kind.until), default=None))
    workable = [kind for kind in kinds if kind.kind not in missing and kind.delayed < kind.count]
    names = [kind.kind for kind in workable or kinds]
    ahead = min((kind.ahead for kind in workable), default=0)
    since = min((kind.since for kind in workable or kinds), key=_order)
    return WaitingFor("workers", services=names, steps_ahead=ahead, since=since)


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _order(time: datetime | None) -> float:
    """For the earliest time: one that is not known comes last."""
    return math.inf if time is None else time.timestamp()


class JobWaits:
    """Reads what jobs wait for. `workers`: as this replica hears them."""

    def __init__(self, store: EventStore, workers: ConnectedWorkers, clock: Callable[[], datetime]) -> None:
        self._store, self._workers, self._clock = store, workers, clock

    async def of(self, jobs: Sequence[JobSummary]) -> Mapping[UUID, WaitingFor | None]:
        """By job id."""
        return await self._of([(job.id, job.status, job.is_paused) for job in jobs])

    async def of_open(self, job_ids: Collection[UUID]) -> Mapping[UUID, WaitingFor | None]:
        """By job id; without the jobs that have ended."""
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_OPEN, (list(job_ids),))
            jobs = await cursor.fetchall()
        return await self._of(jobs) if jobs else {}

    async def _of(self, jobs: Sequence[tuple[UUID, str, bool]]) -> Mapping[UUID, WaitingFor | None]:
        processing = [job_id for job_id, status, _ in jobs if status == "processing"]
        now = asyncio.get_running_loop().time()
        kinds = await self._kinds(processing, now) if processing else {}
        offered = self._workers.offered_kinds(now)
        left = self._left({kind.kind for of_job in kinds.values() for kind in of_job}, now)
        return {
            job_id: waiting_for(status, kinds.get(job_id, []), offered, is_paused=is_paused, left=left)
            for job_id, status, is_paused in jobs
        }

    def _left(self, kinds: Collection[str], now: float) -> Mapping[str, datetime]:
        """By kind: when its last worker was gone, by the clock of the service."""
        wall = self._clock().replace(microsecond=0)
        times = {kind: self._workers.left_at(kind) for kind in kinds}
        return {kind: wall - timedelta(seconds=now - time) for kind, time in times.items() if time is not None}

    async def seconds_left(self, job: JobSummary, ended: int, total: int, now: datetime) -> float | None:
        """How long an unfinished job may take still; None if nothing is known.

        At its own pace, if a generation of it has ended; else at the pace of the last 20 completed jobs, of all users,
        that ran the same workflows.
        """
        if job.completed_at is not None:
            return None
        if ended and job.started_at is not None:
            return (now - job.started_at).total_seconds() / ended * (total - ended)
        [(pace,)] = await self._store.pool.rows(SELECT_PACE, (job.id,))
        return None if pace is None else float(pace) * (total - ended)

    async def _kinds(self, job_ids: list[UUID], now: float) -> dict[UUID, list[KindOfSteps]]:
        working = [
            sid for (sid, _), sighting in self._workers.sightings().items() if now - sighting.last <= SILENT_SECONDS
        ]
        kinds: dict[UUID, list[KindOfSteps]] = {}
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_WAITS_OF_JOBS, (working[:MAX_WORKING], job_ids))
            async for job_id, *row in cursor:
                kinds.setdefault(job_id, []).append(KindOfSteps(*row))
        return kinds
