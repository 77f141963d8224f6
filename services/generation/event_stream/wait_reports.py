"""Reports to the followers of a job what it waits for, when nothing of it is in progress."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from uuid import UUID

from services.generation.event_stream.events import waiting_event
from services.generation.event_stream.hub import JobEventHub
from services.generation.views.job import WaitingFor
from shared.backoff import Backoff
from shared.handling.transient import is_transient

CHECK_EVERY = 2.0
"""Seconds between two checks. A wait is reported if two checks in a row find it: most are shorter."""
REPEAT_AFTER = 10.0
"""Seconds after which a wait is reported again, for those who have begun to follow since."""
MAX_JOBS = 500
"""Jobs of one query."""

Waits = Callable[[Collection[UUID]], Awaitable[Mapping[UUID, WaitingFor | None]]]
"""What these jobs wait for, without those that have ended."""


class WaitReports:
    """Adds `job_waiting` to the channels of the followed jobs: for each wait, and None when it is over."""

    def __init__(self, hub: JobEventHub, waits: Waits) -> None:
        self._hub, self._waits = hub, waits
        self._seen: dict[UUID, WaitingFor | None] = {}
        self._reported: dict[UUID, tuple[WaitingFor, float]] = {}
        """The waits that were reported, and when."""

    async def run(self) -> None:
        """Checks until cancelled; without followed jobs, no query is made."""
        backoff, loop = Backoff("what jobs wait for", on=is_transient), asyncio.get_running_loop()
        while True:
            followed = list(self._hub.followed)
            waits: dict[UUID, WaitingFor | None] = {}
            for start in range(0, len(followed), MAX_JOBS):
                waits |= await backoff.call(partial(self._waits, followed[start : start + MAX_JOBS]))
            self.report(waits, loop.time())
            await asyncio.sleep(CHECK_EVERY)

    def report(self, waits: Mapping[UUID, WaitingFor | None], now: float) -> None:
        """Reports what has changed. `waits`: of the followed jobs that have not ended; `now`: the event loop's time."""
        for job_id, wait in waits.items():
            reported, reported_at = self._reported.get(job_id, (None, 0.0))
            if _subject(wait) != _subject(self._seen.get(job_id)) or (wait is None and reported is None):
                continue
            if _subject(wait) != _subject(reported) or now - reported_at >= REPEAT_AFTER:
                self._hub.tell(job_id, waiting_event(job_id, wait))
                self._reported.pop(job_id, None)
                if wait is not None:
                    self._reported[job_id] = wait, now
        self._seen = dict(waits)
        self._reported = {job_id: reported for job_id, reported in self._reported.items() if job_id in waits}


def _subject(wait: WaitingFor | None) -> object:
    """What a wait is for, without what changes all the time."""
    return wait and (wait.reason, wait.services, wait.workflows)
