"""The watchdog: what stopped goes on. It looks at the steps that wait for a result, and finds three kinds.

- *Due*: a retry whose backoff is over. It is sent.
- *Missing*: ready for a while, and no longer in the work queue, though no result came: the broker lost the message or
  its result. The same attempt is sent again; should two results come, the second changes nothing.
- *Overdue*: past its deadline. The attempt counts as lost, and the next one follows, or the generation fails.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import structlog
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from services.generation.broker import Broker, raise_if_stopped
from services.generation.domain.generation import LOST
from services.generation.handlers import Engine
from services.generation.processes.dispatch_steps import Dispatcher, work_subject
from services.generation.projections.open_steps import OPEN_STEPS
from services.generation.stored_files import StoredFiles
from shared.contracts.work import WORK_STREAM
from shared.eventstore.lease import Lease, run_as_leader
from shared.handling.transient import is_transient

NAME = "generation-watchdog"
LOOK_SECONDS = 0.5
"""Seconds between two looks at what is due."""
QUEUE_LOOK_SECONDS = 5.0
FORGET_SECONDS = 60.0
"""Seconds between two times that old files are forgotten, at least."""
RESEND_WINDOW = timedelta(minutes=2)
"""A new leader sends again what became due so long ago: JetStream knows its message ids for as long."""
LOOK_BACK = timedelta(seconds=20)
"""The table of open steps may be behind by so much, and a retry still be sent when it is due."""
MAX_ROWS = 500
MAX_DUE_ROWS = 10_000
SLACK = timedelta(seconds=60)
"""Clocks of broker and database may differ by so much. Where they differ by more, a step may be sent twice."""

ANY_OPEN_STEP: LiteralString = "select exists (select from open_steps_v1)"
DUE_RETRIES: LiteralString = """
select sid, gid, job_id, attempt, stream_version, ready_at from open_steps_v1
where is_delayed and ready_at > %b and ready_at <= %b order by ready_at limit %b"""
WORK_KINDS: LiteralString = """
select workflow_type, service_required from open_steps_v1
where ready_at <= %b group by workflow_type, service_required"""
STEPS_OF_WORK_KIND: LiteralString = """
select sid, gid, job_id, attempt, stream_version, ready_at from open_steps_v1
where workflow_type = %b and service_required = %b and ready_at <= %b order by ready_at limit %b"""
OVERDUE_ATTEMPTS: LiteralString = """
select sid, gid, job_id, attempt, stream_version, ready_at from open_steps_v1
where ready_at <= least(%b, clock_timestamp()) - %b::interval order by ready_at limit %b"""

log = structlog.get_logger()


class Watchdog:
    """One per service does the looking; the others wait for its lease. `missing_after`: see the settings."""

    def __init__(
        self, engine: Engine, broker: Broker, dispatcher: Dispatcher, files: StoredFiles, missing_after: timedelta
    ) -> None:
        self._engine, self._broker, self._dispatcher, self._files = engine, broker, dispatcher, files
        self._missing_after = missing_after
        self._sent: dict[tuple[UUID, int], datetime] = {}
        self.resent = 0
        self.lost = 0

    async def run(self) -> None:
        await run_as_leader(self._engine.store, NAME, self.watch)

    async def watch(self, _lease: Lease | None = None) -> None:
        """What the lease's holder does. Two at once are wasteful, not wrong: an attempt takes one result."""
        loop, marks = asyncio.get_running_loop(), self._engine.store.watermarks
        since = self._engine.clock() - RESEND_WINDOW
        looked = forgot = loop.time()
        while True:
            seen, is_idle = marks.value(OPEN_STEPS.watermark), False
            try:
                now = self._engine.clock()
                is_idle = not await self._has_open_steps()
                if not is_idle:
                    await self.send_due(since, now)
                since = now - LOOK_BACK
                if not is_idle and loop.time() - looked >= min(
                    QUEUE_LOOK_SECONDS, self._missing_after.total_seconds() / 2
                ):
                    await self.give_up_overdue(now)
                    await self.send_missing(now)
                    looked = loop.time()
                if loop.time() - forgot >= FORGET_SECONDS:
                    await self._files.forget()
                    forgot = loop.time()
            except Exception as error:
                raise_if_stopped()
                if not is_transient(error):
                    raise
                log.warning("watchdog_waits", error=repr(error))
            if is_idle:
                await marks.wait_beyond(OPEN_STEPS.watermark, seen)  # until the table changes
            await asyncio.sleep(LOOK_SECONDS)

    async def _has_open_steps(self) -> bool:
        ((found,),) = await self._engine.store.pool.rows(ANY_OPEN_STEP, ())
        return bool(found)

    async def send_due(self, after: datetime, until: datetime) -> None:
        """Sends the retries whose backoff ended in between, except those that this process has sent already."""
        for row in await self._rows(DUE_RETRIES, (after, until, MAX_DUE_ROWS)):
            if (row.sid, row.attempt) not in self._sent:
                self._sent[row.sid, row.attempt] = until
                await self._send(row)

    async def give_up_overdue(self, now: datetime) -> None:
        """A lost attempt can't be taken back: both our clock and the database's must say that its time is over."""
        for row in await self._rows(OVERDUE_ATTEMPTS, (now, self._dispatcher.step_deadline, MAX_ROWS)):
            log.warning("step_lost", sid=str(row.sid), attempt=row.attempt, job_id=str(row.job_id))
            self.lost += 1
            await self._engine.take_result(
                job_id=row.job_id, gid=row.gid, sid=row.sid, attempt=row.attempt, outputs=[], error=LOST
            )

    async def send_missing(self, now: datetime) -> None:
        """Queues are in order: a step that was ready before the oldest message in its queue is not in it any more."""
        before = now - self._missing_after
        self._sent = {key: at for key, at in self._sent.items() if at > now - self._dispatcher.step_deadline}
        async with self._engine.store.reader() as cursor:
            await cursor.execute(WORK_KINDS, (before,))
            queues = await cursor.fetchall()
        if not queues:
            return
        js = await self._broker.jetstream()
        for workflow_type, service_required in queues:
            oldest = await self._oldest(js, work_subject(workflow_type, service_required))
            until = before if oldest is None else min(before, oldest - SLACK)
            for row in await self._rows(STEPS_OF_WORK_KIND, (workflow_type, service_required, until, MAX_ROWS)):
                key = (row.sid, row.attempt)
                sent = self._sent.get(key, row.ready_at)
                if sent <= until and await self._engine.waits_for(row.gid, row.sid, row.attempt):
                    log.warning("step_sent_again", sid=str(row.sid), attempt=row.attempt, job_id=str(row.job_id))
                    self.resent += 1
                    self._sent[key] = now
                    await self._send(row)

    async def _oldest(self, js: JetStreamContext, subject: str) -> datetime | None:
        """When the oldest message of a queue was sent; None for an empty one."""
        try:
            message = await js.get_msg(WORK_STREAM, seq=1, subject=subject, next=True)
        except NotFoundError:
            await self._broker.ensure_streams()
            return None
        return message.time

    async def _send(self, row: "_Step") -> None:
        events = await self._engine.store.read_stream(
            row.gid, after=row.stream_version - 1, to_version=row.stream_version
        )
        await self._dispatcher.send(events[0])

    async def _rows(self, query: LiteralString, parameters: Sequence[Any]) -> "list[_Step]":
        async with self._engine.store.reader() as cursor:
            await cursor.execute(query, parameters)
            return [_Step(*row) for row in await cursor.fetchall()]


class _Step(NamedTuple):
    sid: UUID
    gid: UUID
    job_id: UUID
    attempt: int
    stream_version: int
    ready_at: datetime
