"""The table of jobs that have not ended, with how many of their generations have started.

It is written by the process that starts generations, and read by the next replica that leads this process. It is not a
read table: a read table may lag, and a job missing from it would never start. `started` may be less than the
number of recorded starts; starting a generation again is idempotent.
"""

from collections.abc import Mapping
from typing import LiteralString, NamedTuple
from uuid import UUID

from services.generation.domain.fair_shares import OpenJob
from shared.eventstore import EventStore, RecordedEvent

INSERT_OPEN_JOB: LiteralString = """
insert into open_jobs (job_id, user_id, total, started, priority, round, position, event_id, context)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (job_id) do update set started = excluded.started, round = excluded.round, position = excluded.position,
  event_id = excluded.event_id, context = excluded.context
where open_jobs.round < excluded.round"""
SELECT_OPEN_JOBS: LiteralString = """
select job_id, user_id, total, started, priority, round, event_id, context from open_jobs order by position"""
UPDATE_STARTED: LiteralString = """
update open_jobs o set started = greatest(o.started, n.started)
from unnest(%s::uuid[], %s::integer[], %s::integer[]) as n(job_id, round, started)
where o.job_id = n.job_id and o.round = n.round"""
DELETE_OPEN_JOBS: LiteralString = """
delete from open_jobs o using unnest(%s::uuid[], %s::integer[]) as n(job_id, round)
where o.job_id = n.job_id and o.round <= n.round"""


class OpenJobRow(NamedTuple):
    """`event_id`, `context`: the id and the encoded context of the `job_authorized` of this round."""

    job: OpenJob
    round: int
    event_id: UUID
    context: bytes


class OpenJobsTable:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def add(self, job: OpenJob, round_: int, authorized: RecordedEvent) -> None:
        """Idempotent. A later round of a job replaces an earlier one."""
        row = (job.job_id, job.user_id, job.total, job.started, job.priority, round_)
        cause = (authorized.position, authorized.event_id, authorized.metadata)
        async with self._store.pool.connection() as connection:
            await connection.execute(INSERT_OPEN_JOB, (*row, *cause))

    async def all(self) -> list[OpenJobRow]:
        """In the order in which they were authorized."""
        return [
            OpenJobRow(OpenJob(job_id, user_id, total, started, priority=priority), round_, event_id, context)
            for job_id, user_id, total, started, priority, round_, event_id, context in await self._store.pool.rows(
                SELECT_OPEN_JOBS, ()
            )
        ]

    async def update(self, started: Mapping[UUID, tuple[int, int]], ended: Mapping[UUID, int]) -> None:
        """Writes how many generations of each job have started, and deletes the jobs that have ended.

        `started`: round and number; `ended`: the last round that has ended.
        """
        async with self._store.pool.connection() as connection:
            if started:
                rounds, numbers = zip(*started.values(), strict=True)
                await connection.execute(UPDATE_STARTED, (list(started), list(rounds), list(numbers)))
            if ended:
                await connection.execute(DELETE_OPEN_JOBS, (list(ended), list(ended.values())))
