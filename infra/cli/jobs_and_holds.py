"""Compares the holds of credits with the jobs of generation: what is held and captured of each job."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from shared.contracts.amounts import credits_text
from shared.eventstore import EventStore

PAGE = 5_000
"""Jobs that are compared at a time."""
PATIENCE, EVERY = 10.0, 0.5
"""Seconds for which what differs is looked at again: the two services may not have seen each other's last events."""

SELECT_JOBS: LiteralString = """
select job_id, status, held - captured - released, captured from jobs_v5
where (%s::uuid is null or job_id > %s) and (%s::uuid[] is null or job_id = any(%s)) order by job_id limit %s"""
SELECT_HOLDS: LiteralString = """
select job_id, count(*) filter (where status = 'held'), coalesce(sum(amount) filter (where status = 'held'), 0)::int8,
       sum(captured)::int8
from holds_v3
where (%s::uuid is null or job_id > %s) and (%s::uuid[] is null or job_id = any(%s))
group by job_id order by job_id limit %s"""
OPEN = ("pending", "processing")


@dataclass(frozen=True, slots=True)
class Job:
    """As generation has it; micro-credits."""

    status: str
    held: int
    captured: int


@dataclass(frozen=True, slots=True)
class Holds:
    """Of one job, as credits has them; micro-credits. `count`: of those that are open."""

    count: int = 0
    held: int = 0
    captured: int = 0


NO_HOLDS = Holds()


def difference(job: Job | None, holds: Holds) -> str | None:  # noqa: PLR0911 - a case for each fault
    """What is wrong about a job's credits, as a sentence; None if nothing is."""
    if job is None:
        if holds.count:
            return f"credits holds {credits_text(holds.held)} for it, and generation has no such job"
        if holds.captured:
            return f"credits captured {credits_text(holds.captured)} for it, and generation has no such job"
        return None
    if holds.count and job.status not in OPEN:
        return f"credits holds {credits_text(holds.held)} for it, and it is {job.status}"
    if job.status == "processing" and not holds.count:
        return "it is processing, and credits holds nothing for it"
    if job.status == "processing" and holds.held != job.held:
        return f"credits holds {credits_text(holds.held)} for it, and generation says {credits_text(job.held)}"
    if holds.captured != job.captured:
        return (
            f"credits captured {credits_text(holds.captured)} for it, and generation says {credits_text(job.captured)}"
        )
    return None


async def differences(generation: EventStore, credits_: EventStore, progress: Callable[[int], None]) -> dict[UUID, str]:
    """What differs still after PATIENCE, by job. `progress` is called with the number of jobs compared so far."""
    count, different = 0, dict[UUID, str]()
    async for job_id, sentence in _compared(generation, credits_):
        count += 1
        if count % PAGE == 0:
            progress(count)
        if sentence is not None:
            different[job_id] = sentence
    progress(count)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while different and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(EVERY)
        again = _compared(generation, credits_, list(different))
        different = {job_id: sentence async for job_id, sentence in again if sentence is not None}
    return different


async def _compared(
    generation: EventStore, credits_: EventStore, of: list[UUID] | None = None
) -> AsyncIterator[tuple[UUID, str | None]]:
    """Each job of either service, in the order of their ids."""
    after: UUID | None = None
    while True:
        parameters = (after, after, of, of, PAGE)
        jobs = {key: Job(*row) for key, *row in await generation.pool.rows(SELECT_JOBS, parameters)}
        holds = {key: Holds(*row) for key, *row in await credits_.pool.rows(SELECT_HOLDS, parameters)}
        ends = [max(page) for page in (jobs, holds) if len(page) == PAGE]
        end = min(ends) if ends else None
        for job_id in sorted(_within(jobs.keys() | holds.keys(), end)):
            yield job_id, difference(jobs.get(job_id), holds.get(job_id, NO_HOLDS))
        if end is None:
            return
        after = end


def _within(job_ids: Iterable[UUID], end: UUID | None) -> Iterable[UUID]:
    """Those up to the end of the shorter page: later ones may be in the next page of the other service."""
    return (job_id for job_id in job_ids if end is None or job_id <= end)
