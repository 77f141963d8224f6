"""A message of work that is ours as long as we say so: three signs of life in every ack-wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import nats.errors
from nats.aio.msg import Msg

from shared.stopping import stop


class Lease:
    """Of one step's attempt; a broker that forgot about it may deliver it to us again, and then the newest counts."""

    def __init__(self, message: Msg, ack_wait: float) -> None:
        self.message = message
        self._every = ack_wait / 3

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            await stop(task)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            with contextlib.suppress(nats.errors.Error):  # the broker is away: the lease may be lost, the work is not
                await self.message.in_progress()

    async def done(self) -> None:
        """The message is answered for: it does not come again."""
        with contextlib.suppress(nats.errors.Error):  # it comes again then, and is answered with the same result
            await self.message.ack()

    async def refuse(self) -> None:
        """Nobody else shall try it either."""
        with contextlib.suppress(nats.errors.Error):
            await self.message.term()

    async def hand_back(self) -> None:
        """Another worker may have it, at once."""
        with contextlib.suppress(nats.errors.Error):
            await self.message.nak()
