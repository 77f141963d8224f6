"""The watchdog: fails attempts that a worker has begun, and whose results will not come.

Time in the queue does not count: an attempt is lost when a worker was seen doing it, and then either

- no worker was seen doing it for `lost_after`, though one of its kind had a free lane: by then JetStream has delivered
  the message again, if it still has it; or
- it was begun longer ago than an attempt may take, with its waits for other servers, and the worker has not given it
  up itself.

The next attempt follows, or the step fails.
"""

import asyncio
from datetime import timedelta

import structlog

from services.generation.domain.generation import LOST
from services.generation.handlers.commands import CommandHandlers
from services.generation.projections.open_steps import OPEN_STEPS, OpenStepRow, OpenSteps
from services.generation.tables.stored_files import StoredFiles
from services.generation.workers.broker import raise_if_stopped
from services.generation.workers.connected_workers import ConnectedWorkers
from shared.contracts.work import WAIT_SHARE, kind_of_work
from shared.eventstore.lease import Lease, run_as_leader
from shared.handling.transient import is_transient

NAME = "generation-watchdog"
CHECK_EVERY = 5.0
"""Seconds between two checks; less if `lost_after` is small."""
FILES_EVERY = 60.0
"""Seconds between two deletions of old files."""
DEADLINE_SLACK = timedelta(seconds=60)
"""How much longer than the worker itself the watchdog waits for an attempt."""

log = structlog.get_logger()


class Watchdog:
    """Runs on the replica that holds the lease. `step_deadline`, `lost_after`: see the settings."""

    def __init__(
        self,
        handlers: CommandHandlers,
        workers: ConnectedWorkers,
        stored_files: StoredFiles,
        *,
        step_deadline: timedelta,
        lost_after: timedelta,
    ) -> None:
        self._handlers, self._workers, self._stored_files = handlers, workers, stored_files
        self._longest = ((1 + WAIT_SHARE) * step_deadline + min(DEADLINE_SLACK, step_deadline)).total_seconds()
        self._lost_after = lost_after.total_seconds()
        self._open_steps = OpenSteps(handlers.store)
        self.lost = 0

    async def run(self) -> None:
        await run_as_leader(self._handlers.store, NAME, self.watch)

    async def watch(self, _lease: Lease | None = None) -> None:
        """The leader's loop. Two at once do needless work, but no harm: an attempt takes one result."""
        loop, marks = asyncio.get_running_loop(), self._handlers.store.watermarks
        files_deleted = loop.time()
        every = min(CHECK_EVERY, self._lost_after / 4)
        while True:
            watermark, is_idle = marks.value(OPEN_STEPS.watermark), False
            try:
                is_idle = not await self._open_steps.any()
                await self.give_up_lost(loop.time())
                if loop.time() - files_deleted >= FILES_EVERY:
                    await self._stored_files.delete_old()
                    files_deleted = loop.time()
            except Exception as error:
                raise_if_stopped()
                if not is_transient(error):
                    raise
                log.warning("watchdog_waits", error=repr(error))
            if is_idle:
                await marks.wait_beyond(OPEN_STEPS.watermark, watermark)  # until the table changes
            await asyncio.sleep(every)

    async def give_up_lost(self, now: float) -> None:
        """Fails the attempts that no worker does any more, or that take too long; forgets those that have ended."""
        doubtful = {
            key: sighting
            for key, sighting in self._workers.sightings().items()
            if now - sighting.last > self._lost_after or now - sighting.first > self._longest
        }
        if not doubtful or not self._workers.is_complete(now):
            return
        rows = await self._open_steps.of_sids([sid for sid, _ in doubtful])
        is_open = {(row.sid, row.attempt): row for row in rows}
        self._workers.forget(key for key in doubtful if key not in is_open)
        for key, row in is_open.items():
            if key in doubtful and self._is_lost(row, now):
                log.warning("step_lost", sid=str(row.sid), attempt=row.attempt, job_id=str(row.job_id))
                self.lost += 1
                await self._handlers.take_result(
                    job_id=row.job_id, gid=row.gid, sid=row.sid, attempt=row.attempt, outputs=[], error=LOST
                )
                self._workers.forget([key])

    def _is_lost(self, row: OpenStepRow, now: float) -> bool:
        sighting = self._workers.sighting((row.sid, row.attempt))
        if sighting is None:
            return False
        if now - sighting.first > self._longest:
            return True
        free_lane_since = self._workers.free_lane_since(kind_of_work(row.workflow_type, row.service_required), now)
        return free_lane_since is not None and now - max(sighting.last, free_lane_since) > self._lost_after
