"""Rows → answers: jobs, their generations and history."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.generation.projections.job_events import SELECT_LAST_POSITION_OF_JOB
from services.generation.views.job import GenerationCounts, GenerationView, HistoryEntry, JobCredits, JobSummary
from shared.contracts.amounts import to_credits
from shared.contracts.problem import not_found
from shared.contracts.sizes import KIB
from shared.eventstore import EventStore

SELECT_JOB: LiteralString = """
select job_id, position, collection_id, user_id, name, job_type, status, error, quoted, held, captured, released,
       total, ended, started, completed, failed, cancelled, is_paused, created_at, started_at, completed_at
from jobs_v5 where job_id = %s and (%s::uuid is null or user_id = %s::uuid)"""
SELECT_JOBS: LiteralString = """
select job_id, position, collection_id, user_id, name, job_type, status, error, quoted, held, captured, released,
       total, ended, started, completed, failed, cancelled, is_paused, created_at, started_at, completed_at
from jobs_v5 where user_id = %s and position < %s and (%s::uuid is null or collection_id = %s::uuid)
  and (%s::text is null or status = %s::text) and (%s::timestamptz is null or created_at >= %s::timestamptz)
order by position desc limit %s"""
SELECT_JOBS_OF_ALL: LiteralString = """
select job_id, position, collection_id, user_id, name, job_type, status, error, quoted, held, captured, released,
       total, ended, started, completed, failed, cancelled, is_paused, created_at, started_at, completed_at
from jobs_v5 where position < %s and (%s::uuid is null or collection_id = %s::uuid)
  and (%s::text is null or status = %s::text) and (%s::timestamptz is null or created_at >= %s::timestamptz)
order by position desc limit %s"""
COUNT_JOBS: LiteralString = """
select status, count(*) from jobs_v5 where user_id = %s and (%s::uuid is null or collection_id = %s::uuid)
  and (%s::timestamptz is null or created_at >= %s::timestamptz) group by status order by status"""
COUNT_JOBS_OF_ALL: LiteralString = """
select status, count(*) from jobs_v5 where (%s::uuid is null or collection_id = %s::uuid)
  and (%s::timestamptz is null or created_at >= %s::timestamptz) group by status order by status"""
# A page ends before the generation that makes it too large, and has at least one. Sizes are columns, so the large
# columns of the generations that are left out are not read.
SELECT_GENERATIONS: LiteralString = """
select place, gid, hash, status, variables, error, outputs, row_count from (
  select page.*, sum(size + %s) over (order by place) as upto, count(*) over () as row_count
  from (select * from generations_v4 where job_id = %s and place > %s order by place limit %s) page
) counted where upto <= %s or upto = size + %s order by place"""
SELECT_GENERATIONS_OF_STATUS: LiteralString = """
select place, gid, hash, status, variables, error, outputs, row_count from (
  select page.*, sum(size + %s) over (order by place) as upto, count(*) over () as row_count
  from (
    select * from generations_v4 where job_id = %s and status = %s and place > %s order by place limit %s
  ) page
) counted where upto <= %s or upto = size + %s order by place"""
SELECT_HISTORY: LiteralString = """
select position, status, message, data, created_at from job_history_v3
where job_id = %s and position > %s order by position limit %s"""

FIRST_PAGE = 100
"""Generations in the answer for one job."""
PAGE_BYTES = 90 * KIB
"""Bytes of a page of generations; with the job around it, an answer has 100 KB at most."""
NAMES_BYTES = 130
"""Bytes of a generation as JSON besides its hash, variables, error and outputs: ids, status, and members' names."""


class GenerationPage(msgspec.Struct, frozen=True):
    """`last`: the place of the page's last generation if more follow, else None."""

    generations: list[GenerationView]
    last: int | None


class Queries:
    """Reads jobs for clients: those of one user, or for operators those of all."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def job(self, job_id: UUID, user_id: UUID | None) -> tuple[JobSummary, GenerationCounts]:
        """A job of the user, without its generations; of any user if `user_id` is None. Raises NOT_FOUND."""
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_JOB, (job_id, user_id, user_id))
            row = await cursor.fetchone()
        if row is None:
            raise not_found("The job")
        return _read_job(row)[1:]

    async def job_summary(self, job_id: UUID, user_id: UUID | None) -> JobSummary:
        """Raises NOT_FOUND."""
        return (await self.job(job_id, user_id))[0]

    async def jobs(
        self,
        user_id: UUID | None,
        *,
        before: int,
        limit: int,
        collection_id: UUID | None,
        status: str | None,
        since: datetime | None,
    ) -> list[tuple[int, JobSummary]]:
        """A user's jobs with their positions, below position `before`, newest first. `since`: of their request.

        `user_id` None: those of all users; this sorts all jobs, since no index has their order.
        """
        filters = (collection_id, collection_id, status, status, since, since)
        async with self._store.reader() as cursor:
            if user_id is None:
                await cursor.execute(SELECT_JOBS_OF_ALL, (before, *filters, limit))
            else:
                await cursor.execute(SELECT_JOBS, (user_id, before, *filters, limit))
            return [_read_job(row)[:2] for row in await cursor.fetchall()]

    async def job_counts(
        self, user_id: UUID | None, collection_id: UUID | None, since: datetime | None
    ) -> dict[str, int]:
        """How many jobs a user has in each status; None: all users together."""
        filters = (collection_id, collection_id, since, since)
        async with self._store.reader() as cursor:
            if user_id is None:
                await cursor.execute(COUNT_JOBS_OF_ALL, filters)
            else:
                await cursor.execute(COUNT_JOBS, (user_id, *filters))
            return {status: count async for status, count in cursor}

    async def generations(
        self,
        job_id: UUID,
        *,
        after: int = -1,
        limit: int = FIRST_PAGE,
        status: str | None = None,
        room: int = PAGE_BYTES,
    ) -> GenerationPage:
        """A job's generations after a place, in the order of the request: `limit` and `room` bytes at most."""
        bounds = (limit + 1, room, NAMES_BYTES)
        async with self._store.reader() as cursor:
            if status is None:
                await cursor.execute(SELECT_GENERATIONS, (NAMES_BYTES, job_id, after, *bounds))
            else:
                await cursor.execute(SELECT_GENERATIONS_OF_STATUS, (NAMES_BYTES, job_id, status, after, *bounds))
            rows = await cursor.fetchall()
        page, row_count = rows[:limit], rows[0][-1] if rows else 0
        generations = [GenerationView(*row[1:-1]) for row in page]
        return GenerationPage(generations, page[-1][0] if row_count > len(page) else None)

    async def job_history(self, job_id: UUID, *, after: int, limit: int) -> list[tuple[int, HistoryEntry]]:
        """A job's history with positions, after a position, oldest first."""
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_HISTORY, (job_id, after, limit))
            return [(row[0], HistoryEntry(*row[1:])) for row in await cursor.fetchall()]

    async def last_event(self, job_id: UUID) -> int:
        """The position of a job's last event for clients; 0 if it has none."""
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_LAST_POSITION_OF_JOB, (job_id,))
            row = await cursor.fetchone()
        return row[0] or 0 if row is not None else 0


def _read_job(row: tuple[Any, ...]) -> tuple[int, JobSummary, GenerationCounts]:
    (
        job_id,
        position,
        collection_id,
        user_id,
        name,
        job_type,
        status,
        error,
        quoted,
        held,
        captured,
        released,
        total,
        ended,
        started,
        completed,
        failed,
        cancelled,
        is_paused,
        created_at,
        started_at,
        completed_at,
    ) = row
    counts = GenerationCounts(total - started, started - completed - failed - cancelled, completed, failed, cancelled)
    summary = JobSummary(
        id=job_id,
        name=name,
        job_type=job_type,
        status=status,
        progress=ended / total if total else 0.0,
        collection_id=collection_id,
        user_id=user_id,
        error=error,
        credits=JobCredits(to_credits(quoted), to_credits(held), to_credits(captured), to_credits(released)),
        is_paused=is_paused,
        created_at=created_at,
        started_at=started_at,
        completed_at=completed_at,
        generation_counts=counts,
    )
    return position, summary, counts
