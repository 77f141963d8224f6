"""The watchdog of holds: asks generation, by an event, whether the jobs of those past their deadline are open.

It releases nothing. Generation answers `job_hold_confirmed`, and the hold gets a new deadline; or `job_disowned`, and
the hold is released. Without an answer it stays, since the job may be running; readiness then says for how long.
"""

import asyncio
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID, uuid5

import structlog

from services.credits.domain.deadlines import QuestionHold
from services.credits.handlers import CommandHandlers
from shared.eventstore import Context, EventStore
from shared.eventstore.lease import Lease, run_as_leader
from shared.handling.transient import is_transient
from shared.progress import Progress

NAME = "credits-overdue-holds"
EVERY = 30.0
"""Seconds between two checks; less if holds are short."""
MAX_HOLDS = 200
"""Holds that one check asks about."""

# The events of early releases have no deadline: theirs is counted from when they were placed.
SELECT_OVERDUE: LiteralString = """
select hold_id, job_id, user_id, coalesce(deadline, placed_at + %s)
from holds_v3 where status = 'held' and coalesce(deadline, placed_at + %s) <= %s
order by 4 limit %s"""
SELECT_UNANSWERED: LiteralString = """
select count(*), coalesce(extract(epoch from %s - min(asked_at)), 0)::float8,
       (array_agg(job_id order by asked_at))[1]
from holds_v3 where status = 'held' and asked_at is not null"""

log = structlog.get_logger()


class OverdueHolds:
    """`hold_time`: of holds that have no deadline. `ask_again`: the time until an unanswered question is repeated."""

    def __init__(
        self, handlers: CommandHandlers, store: EventStore, hold_time: timedelta, ask_again: timedelta
    ) -> None:
        self._handlers, self._store = handlers, store
        self._hold_time, self._ask_again = hold_time, ask_again

    async def run(self) -> None:
        """Runs `watch` while this replica holds the lease, until cancelled."""
        await run_as_leader(self._store, NAME, self.watch)

    async def watch(self, _lease: Lease | None = None) -> None:
        """The leader's loop. Two at once ask once: the account's state says until when it was asked."""
        every = min(EVERY, self._hold_time.total_seconds() / 4, self._ask_again.total_seconds() / 4)
        while True:
            await asyncio.sleep(every)
            try:
                await self.ask()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("overdue_holds_wait", error=repr(error))

    async def ask(self) -> None:
        """One check."""
        now = self._handlers.clock()
        rows = await self._store.pool.rows(SELECT_OVERDUE, (self._hold_time, self._hold_time, now, MAX_HOLDS))
        for hold_id, job_id, user_id, due in rows:
            await self._ask_about(hold_id, job_id, user_id, due, now)

    async def _ask_about(self, hold_id: UUID, job_id: UUID, user_id: UUID, due: datetime, now: datetime) -> None:
        context = Context(command_id=uuid5(hold_id, f"overdue {due.timestamp()}"), actor=NAME)
        later_hold = hold_id if hold_id != job_id else None
        command = QuestionHold(user_id, job_id, now, now + self._ask_again, later_hold)
        if (await self._handlers.handle(command, context)).events:
            log.warning("hold_questioned", job_id=str(job_id), user_id=str(user_id))

    async def progress(self) -> list[Progress]:
        """The holds that generation was asked about and has not answered."""
        rows = await self._store.pool.rows(SELECT_UNANSWERED, (self._handlers.clock(),))
        [(waiting, seconds, job_id)] = rows
        return [
            Progress(
                name="overdue holds, of which generation does not say whether their jobs are open",
                waiting=waiting,
                waiting_seconds=max(seconds, 0.0),
                event=f"job {job_id}" if waiting else None,
            )
        ]
