"""Reports of progress on plain NATS: the first and the last always, and two a second at most between them."""

import asyncio
import contextlib

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contracts.work import Progress, WorkMessage

MIN_INTERVAL = 0.5
"""Seconds between two reports; more are dropped."""


class Reporter:
    """Reports the progress of one attempt. A report that can't be sent is dropped: nothing depends on it."""

    def __init__(self, client: Client, work: WorkMessage, kind: str) -> None:
        self._client, self._work, self._kind = client, work, kind
        self._next = 0.0

    async def report(self, progress: float, message: str) -> None:
        """`progress` from 0, the first report, to 1, the last. Values outside are clamped."""
        now = asyncio.get_running_loop().time()
        if now < self._next and progress < 1:
            return
        self._next = now + MIN_INTERVAL
        work, share = self._work, min(max(progress, 0.0), 1.0)
        report = Progress(work.job_id, work.gid, work.sid, work.context.component_id, share, message)
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(report.subject(self._kind), msgspec.json.encode(report))
