"""The watchdog: no step waits for ever. It reads the table of open steps, and acts on three kinds of them.

- *Due*: a retry whose backoff is over is sent.
- *Lost by the queue*: the step was ready a while ago, and neither its message nor its result is there. The same attempt
  is sent again; if two results come, the second changes nothing.
- *Overdue*: the attempt is past its deadline, and counts as lost. The next one follows, or the generation fails.
"""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from services.generation.broker import Broker, raise_if_stopped
from services.generation.domain.generation import LOST
from services.generation.engine.dispatcher import Dispatcher
from services.generation.handlers import CommandHandlers
from services.generation.processes.dispatch_steps import work_subject
from services.generation.processes.resend_steps import lost_before, lost_steps
from services.generation.projections.open_steps import OPEN_STEPS, OpenStepRow, OpenSteps
from services.generation.stored_files import StoredFiles
from shared.contracts.work import WORK_STREAM
from shared.eventstore.lease import Lease, run_as_leader
from shared.handling.transient import is_transient

NAME = "generation-watchdog"
DUE_EVERY = 0.5
"""Seconds between two checks for due retries."""
QUEUES_EVERY = 5.0
"""Seconds between two checks for overdue and lost steps; less if `missing_after` is small."""
FILES_EVERY = 60.0
"""Seconds between two deletions of old files."""
RESEND_WINDOW = timedelta(minutes=2)
"""A new leader sends again what became due this recently: as long as JetStream recognizes the ids of messages."""
TABLE_LAG = timedelta(seconds=20)
"""How far the table may be behind without a retry being missed."""
MAX_ROWS = 500
MAX_DUE_ROWS = 10_000

log = structlog.get_logger()


class Watchdog:
    """Runs on the replica that holds the lease. `missing_after`: see the settings."""

    def __init__(
        self,
        handlers: CommandHandlers,
        broker: Broker,
        dispatcher: Dispatcher,
        stored_files: StoredFiles,
        missing_after: timedelta,
    ) -> None:
        self._handlers, self._broker, self._dispatcher = handlers, broker, dispatcher
        self._stored_files = stored_files
        self._missing_after = missing_after
        self._open_steps = OpenSteps(handlers.store)
        self._sent: dict[tuple[UUID, int], datetime] = {}
        self.resent = 0
        self.lost = 0

    async def run(self) -> None:
        await run_as_leader(self._handlers.store, NAME, self.watch)

    async def watch(self, _lease: Lease | None = None) -> None:
        """The leader's loop. Two at once do needless work, but no harm: an attempt takes one result."""
        loop, marks = asyncio.get_running_loop(), self._handlers.store.watermarks
        since = self._handlers.clock() - RESEND_WINDOW
        queues_checked = files_deleted = loop.time()
        queues_every = min(QUEUES_EVERY, self._missing_after.total_seconds() / 2)
        while True:
            seen, is_idle = marks.value(OPEN_STEPS.watermark), False
            try:
                now = self._handlers.clock()
                is_idle = not await self._open_steps.any()
                if not is_idle:
                    await self.send_due(since, now)
                since = now - TABLE_LAG
                if not is_idle and loop.time() - queues_checked >= queues_every:
                    await self.give_up_overdue(now)
                    await self.resend_lost(now)
                    queues_checked = loop.time()
                if loop.time() - files_deleted >= FILES_EVERY:
                    await self._stored_files.delete_old()
                    files_deleted = loop.time()
            except Exception as error:
                raise_if_stopped()
                if not is_transient(error):
                    raise
                log.warning("watchdog_waits", error=repr(error))
            if is_idle:
                await marks.wait_beyond(OPEN_STEPS.watermark, seen)  # until the table changes
            await asyncio.sleep(DUE_EVERY)

    async def send_due(self, after: datetime, until: datetime) -> None:
        """Sends the retries whose backoff ended in between, except those that this process has sent."""
        for step in await self._open_steps.due_retries(after, until, MAX_DUE_ROWS):
            if (step.sid, step.attempt) not in self._sent:
                await self._send(step)
                self._sent[step.sid, step.attempt] = until

    async def give_up_overdue(self, now: datetime) -> None:
        """Counts overdue attempts as lost: see `OpenSteps.overdue` for the clocks."""
        for step in await self._open_steps.overdue(now, self._dispatcher.step_deadline, MAX_ROWS):
            log.warning("step_lost", sid=str(step.sid), attempt=step.attempt, job_id=str(step.job_id))
            self.lost += 1
            await self._handlers.take_result(
                job_id=step.job_id, gid=step.gid, sid=step.sid, attempt=step.attempt, outputs=[], error=LOST
            )

    async def resend_lost(self, now: datetime) -> None:
        """Sends the steps that the work queue has lost: see `processes/resend_steps.py`."""
        ready_before = now - self._missing_after
        self._sent = {key: at for key, at in self._sent.items() if at > now - self._dispatcher.step_deadline}
        kinds = await self._open_steps.kinds_of_work(ready_before)
        if not kinds:
            return
        js = await self._broker.jetstream()
        for workflow_type, service_required in kinds:
            oldest = await self._oldest_message(js, work_subject(workflow_type, service_required))
            until = lost_before(oldest, ready_before)
            steps = await self._open_steps.of_kind(workflow_type, service_required, until, MAX_ROWS)
            for step in lost_steps(steps, until, self._sent):
                if await self._handlers.is_current(step.gid, step.sid, step.attempt):
                    log.warning("step_sent_again", sid=str(step.sid), attempt=step.attempt, job_id=str(step.job_id))
                    self.resent += 1
                    self._sent[step.sid, step.attempt] = now
                    await self._send(step)

    async def _oldest_message(self, js: JetStreamContext, subject: str) -> datetime | None:
        """When the oldest message of a queue was sent; None for an empty one."""
        try:
            message = await js.get_msg(WORK_STREAM, seq=1, subject=subject, next=True)
        except NotFoundError:
            await self._broker.ensure_streams()
            return None
        return message.time

    async def _send(self, step: OpenStepRow) -> None:
        events = await self._handlers.store.read_stream(
            step.gid, after=step.stream_version - 1, to_version=step.stream_version
        )
        await self._dispatcher.send(events[0])
