"""Bounds how often a job's followers receive a step's progress, whatever its worker sends."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from shared.contracts.work import Progress

INTERVAL = 0.5
"""Seconds between two reports of a step."""


class ProgressLimiter:
    """Passes on a step's first report at once, and then its latest one every INTERVAL, if there is a new one."""

    def __init__(self, send: Callable[[Progress], None], interval: float = INTERVAL) -> None:
        self._send, self._interval = send, interval
        self._latest: dict[UUID, Progress | None] = {}
        """By sid of the steps that had a report within the interval: a later one that waits, if there is one."""
        self._timers: dict[UUID, asyncio.TimerHandle] = {}

    def note(self, progress: Progress) -> None:
        if progress.sid in self._latest:
            self._latest[progress.sid] = progress
        else:
            self._pass_on(progress)

    def close(self) -> None:
        """Drops what waits."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._latest.clear()

    def _pass_on(self, progress: Progress) -> None:
        self._send(progress)
        self._latest[progress.sid] = None
        loop = asyncio.get_running_loop()
        self._timers[progress.sid] = loop.call_later(self._interval, self._end_interval, progress.sid)

    def _end_interval(self, sid: UUID) -> None:
        del self._timers[sid]
        latest = self._latest.pop(sid)
        if latest is not None:
            self._pass_on(latest)
