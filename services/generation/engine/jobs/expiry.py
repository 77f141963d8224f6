"""Ends jobs that wait for too long: for their credits, for a start, or for a worker.

A job waits while nothing happens to it or its generations, and no worker is seen doing one of its steps. One that an
operator paused does not expire. Nor does one whose user has steps of a workflow that is paused, or was lately: it waits
for these, or for their end, since they count in the user's share.
"""

import asyncio
from datetime import timedelta
from typing import LiteralString
from uuid import UUID, uuid5

import structlog

from services.generation.domain.job import Stop
from services.generation.handlers.commands import CommandHandlers
from services.generation.workers.connected_workers import ConnectedWorkers
from shared.eventstore import Context
from shared.eventstore.lease import Lease, run_as_leader
from shared.handling.transient import is_transient

NAME = "job-expiry"
EVERY = 30.0
"""Seconds between two checks; less if the limit is small."""
MAX_JOBS = 200
"""Jobs that one check ends."""

SELECT_WAITING_JOBS: LiteralString = """
select job_id, round, status, seconds,
       array(select (sid::text || ':' || attempt) from open_steps_v3 s where s.job_id = j.job_id)
from jobs_v5 j, least(j.max_queue_seconds, %s::float8) seconds
where status in ('pending', 'processing') and not is_paused
  and moved_at < clock_timestamp() - make_interval(secs => seconds)
  and not exists (select from open_steps_v3 s
                  where s.job_id = j.job_id and s.ready_at > clock_timestamp() - make_interval(secs => seconds))
  and not (status = 'processing' and exists (
    select from open_steps_v3 s join workflows_v4 w on w.name = s.workflow join jobs_v5 other on other.job_id = s.job_id
    where other.user_id = j.user_id
      and (w.is_paused or w.pause_moved_at > clock_timestamp() - make_interval(secs => seconds))))
order by moved_at limit %s"""
"""The job's own limit applies if it is shorter than that of the settings."""

log = structlog.get_logger()


class JobExpiry:
    """`limit`: how long a job may wait that states no shorter time itself: `max_queue_seconds` of the settings."""

    def __init__(self, handlers: CommandHandlers, workers: ConnectedWorkers, limit: timedelta) -> None:
        self._handlers, self._workers, self._limit = handlers, workers, limit

    async def run(self) -> None:
        """Runs `watch` while this replica holds the lease, until cancelled."""
        await run_as_leader(self._handlers.store, NAME, self.watch)

    async def watch(self, _lease: Lease | None = None) -> None:
        """The leader's loop."""
        every = min(EVERY, self._limit.total_seconds() / 4)
        while True:
            await asyncio.sleep(every)
            try:
                await self.expire_waiting()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("job_expiry_waits", error=repr(error))

    async def expire_waiting(self) -> None:
        """One check. The command names the round that has waited: a job in a later one does not expire."""
        rows = await self._handlers.store.pool.rows(SELECT_WAITING_JOBS, (self._limit.total_seconds(), MAX_JOBS))
        working = {f"{sid}:{attempt}" for sid, attempt in self._workers.sightings()}
        for job_id, round_, status, seconds, attempts in rows:
            if working.isdisjoint(attempts):
                await self._expire(job_id, round_, status, seconds)

    async def _expire(self, job_id: UUID, round_: int, status: str, seconds: float) -> None:
        limit = f"{seconds / 3600:g} hours" if seconds >= 3600 else f"{seconds:g} seconds"
        what = "its credits" if status == "pending" else "a worker"
        reason = f"The job has waited for {what} for more than {limit}"
        context = Context(command_id=uuid5(job_id, f"expire:{round_}"), actor=NAME)
        log.warning("job_expired", job_id=str(job_id), status=status)
        await self._handlers.command_job(job_id, Stop("expired", reason, round_), context)
