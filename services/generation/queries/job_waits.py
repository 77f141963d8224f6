"""What unfinished jobs wait for, and how long they may take: from open steps, connected workers and earlier jobs."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec

from services.generation.projections.open_steps import SELECT_WAITS_OF_JOBS
from services.generation.views.job import JobSummary, WaitingFor
from services.generation.workers.connected_workers import SILENT_SECONDS, ConnectedWorkers
from shared.eventstore import EventStore

MAX_WORKING = 20_000
"""Sids of attempts in progress that a query is given."""
SELECT_PACE: LiteralString = """
select extract(epoch from sum(completed_at - started_at))::float8 / sum(total) from (
  select started_at, completed_at, total from jobs_v4
  where user_id = %s and collection_id = %s and status = 'completed' and started_at is not null and total > 0
  order by position desc limit 20) past"""
"""Seconds per generation of a user's last jobs of a collection."""


class KindOfSteps(msgspec.Struct, frozen=True):
    """A job's open steps of one kind: how many, how many of them wait for the end of a backoff, and the first such end.

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


def waiting_for(
    status: str, kinds: Sequence[KindOfSteps], offered: Collection[str] | None, *, is_paused: bool = False
) -> WaitingFor | None:
    """None for a job of which something is in progress, or that has ended. `offered`: None if it is not known."""
    if status == "pending":
        return WaitingFor("credits")
    if status != "processing" or any(kind.working for kind in kinds):
        return None
    if is_paused:
        return WaitingFor("paused")
    return _waiting_steps(kinds, offered) if kinds else WaitingFor("turn")


def _waiting_steps(kinds: Sequence[KindOfSteps], offered: Collection[str] | None) -> WaitingFor:
    if all(kind.paused for kind in kinds):
        return WaitingFor("paused", workflows=sorted({name for kind in kinds for name in kind.paused}))
    kinds = [kind for kind in kinds if not kind.paused]
    missing = [] if offered is None else [kind.kind for kind in kinds if kind.kind not in offered]
    if missing and len(missing) == len(kinds):
        return WaitingFor("unworkable", services=missing)
    if all(kind.delayed == kind.count for kind in kinds):
        return WaitingFor("retry", until=min((kind.until for kind in kinds if kind.until), default=None))
    workable = [kind for kind in kinds if kind.kind not in missing and kind.delayed < kind.count]
    names = [kind.kind for kind in workable or kinds]
    return WaitingFor("workers", services=names, steps_ahead=min((kind.ahead for kind in workable), default=0))


class JobWaits:
    """Reads what jobs wait for. `workers`: as this replica hears them."""

    def __init__(self, store: EventStore, workers: ConnectedWorkers) -> None:
        self._store, self._workers = store, workers

    async def of(self, jobs: Sequence[JobSummary]) -> Mapping[UUID, WaitingFor | None]:
        """By job id."""
        processing = [job.id for job in jobs if job.status == "processing"]
        now = asyncio.get_running_loop().time()
        kinds = await self._kinds(processing, now) if processing else {}
        offered = self._workers.offered_kinds(now)
        return {
            job.id: waiting_for(job.status, kinds.get(job.id, []), offered, is_paused=job.is_paused) for job in jobs
        }

    async def seconds_left(self, job: JobSummary, ended: int, total: int, now: datetime) -> float | None:
        """How long an unfinished job may take still; None if nothing is known.

        At its own pace, if a generation of it has ended; else at the pace of its user's last 20 completed jobs of the
        same collection, which ran the same workflows.
        """
        if job.completed_at is not None:
            return None
        if ended and job.started_at is not None:
            return (now - job.started_at).total_seconds() / ended * (total - ended)
        [(pace,)] = await self._store.pool.rows(SELECT_PACE, (job.user_id, job.collection_id))
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
