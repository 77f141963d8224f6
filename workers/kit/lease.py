"""The lease of a work message: held while heartbeats reach the broker, three in every ack-wait."""

import asyncio
import contextlib
from collections.abc import Iterator

import nats.errors
from nats.aio.msg import Msg


class Lease:
    """A message of work and its heartbeats.

    While the broker is away, all of these do nothing: the message is delivered again, perhaps to this worker.
    """

    def __init__(self, message: Msg, ack_wait: float) -> None:
        self.message = message
        """The newest delivery: only its acknowledgement counts."""
        self._interval = ack_wait / 3
        self._timer: asyncio.TimerHandle | None = None
        self._heartbeat: asyncio.Future[None] | None = None
        """Kept, since the loop refers to tasks weakly."""

    @property
    def is_redelivered(self) -> bool:
        """Whether another worker, or this one, had the message before."""
        return self.message.metadata.num_delivered > 1

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Sends heartbeats for the length of a block.

        By a timer: a task for each message would cost more than the rest of the lease.
        """
        self._schedule()
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._beat)

    def _beat(self) -> None:
        self._heartbeat = asyncio.ensure_future(self._send_heartbeat())
        self._schedule()

    async def _send_heartbeat(self) -> None:
        with contextlib.suppress(nats.errors.Error):
            await self.message.in_progress()

    async def acknowledge(self) -> None:
        """The result is published: the message does not come again."""
        with contextlib.suppress(nats.errors.Error):
            await self.message.ack()

    async def terminate(self) -> None:
        """No worker can handle the message: it does not come again."""
        with contextlib.suppress(nats.errors.Error):
            await self.message.term()

    async def hand_back(self) -> None:
        """Another worker may have the message at once."""
        with contextlib.suppress(nats.errors.Error):
            await self.message.nak()
