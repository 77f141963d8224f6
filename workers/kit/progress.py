"""How far a step is, said on plain NATS: the first word and the last one, and between them two a second at most."""

import asyncio
import contextlib

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contracts.work import Progress, WorkMessage

AT_MOST_EVERY = 0.5


class Reporter:
    """For one attempt. A word that can't be said is left out: nothing depends on it."""

    def __init__(self, client: Client, work: WorkMessage) -> None:
        self._client, self._work = client, work
        self._subject = f"progress.{work.job_id}.{work.gid}.{work.sid}"
        self._next = 0.0

    async def say(self, progress: float, message: str) -> None:
        """`progress` from 0, the first, to 1, the last."""
        now = asyncio.get_running_loop().time()
        if now < self._next and progress < 1:
            return
        self._next = now + AT_MOST_EVERY
        work = self._work
        body = msgspec.json.encode(
            Progress(work.job_id, work.gid, work.sid, work.context.component_id, progress, message)
        )
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(self._subject, body)
