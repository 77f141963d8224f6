"""The table of jobs that have not ended, with how many of their generations have started.

It is written by the process that starts generations, and read by the next replica that leads this process. It is not a
read table: a read table may lag, and a job missing from it would never start. `started` may be behind what is
recorded, which is harmless: a start is recorded once.
"""

from collections.abc import Collection, Mapping
from typing import LiteralString
from uuid import UUID

from services.generation.domain.fair_shares import OpenJob
from shared.eventstore import EventStore, RecordedEvent

INSERT_OPEN_JOB: LiteralString = """
insert into open_jobs (job_id, user_id, total, started, priority, position, event_id, context)
values (%s, %s, %s, 0, %s, %s, %s, %s) on conflict (job_id) do nothing"""
SELECT_OPEN_JOBS: LiteralString = """
select job_id, user_id, total, started, priority, event_id, context from open_jobs order by position"""
UPDATE_STARTED: LiteralString = """
update open_jobs o set started = greatest(o.started, n.started)
from unnest(%s::uuid[], %s::integer[]) as n(job_id, started) where o.job_id = n.job_id"""
DELETE_OPEN_JOBS: LiteralString = "delete from open_jobs where job_id = any(%s::uuid[])"


class OpenJobsTable:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def add(self, job: OpenJob, authorized: RecordedEvent) -> None:
        """Idempotent."""
        row = (job.job_id, job.user_id, job.total, job.priority)
        cause = (authorized.position, authorized.event_id, authorized.metadata)
        async with self._store.pool.connection() as connection:
            await connection.execute(INSERT_OPEN_JOB, (*row, *cause))

    async def all(self) -> list[tuple[OpenJob, UUID, bytes]]:
        """Each job with the id and the encoded context of its `job_authorized`, in the order of these events."""
        return [
            (OpenJob(job_id, user_id, total, started, priority=priority), event_id, context)
            for job_id, user_id, total, started, priority, event_id, context in await self._store.pool.rows(
                SELECT_OPEN_JOBS, ()
            )
        ]

    async def update(self, started: Mapping[UUID, int], ended: Collection[UUID]) -> None:
        """Writes how many generations of each job have started, and deletes the jobs that have ended."""
        async with self._store.pool.connection() as connection:
            if started:
                await connection.execute(UPDATE_STARTED, (list(started), list(started.values())))
            if ended:
                await connection.execute(DELETE_OPEN_JOBS, (list(ended),))
