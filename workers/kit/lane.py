"""One kind of work, pulled from its durable consumer by every worker that offers it."""

import asyncio
import contextlib
from collections.abc import Callable

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from services.generation.broker import ACK_TIMEOUT, BROKER_ERRORS, ensure_work_streams
from shared.contracts.work import WORK_STREAM

PULL_SECONDS = 1.0
"""How long one pull waits. Stopping waits for it, so that no message is on its way to nobody."""
PAUSE_SECONDS = 0.5

log = structlog.get_logger()


class Lane:
    """Pulls one message at a time while a slot is free, for ever: through restarts and losses of the broker.

    What arrives in the moment when the last slot is taken waits with its lease kept; that is one message a lane.
    """

    def __init__(
        self, client: Client, service: str, slots: asyncio.Semaphore, take: Callable[[Msg], None], *, ack_wait: float
    ) -> None:
        self._client, self._slots, self._take, self._ack_wait = client, slots, take, ack_wait
        self.service = service
        self.bound = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Until it is stopped."""
        while not self._stopping.is_set():
            try:
                subscription = await self._bind()
                self.bound = True
                try:
                    await self._pull(subscription)
                finally:
                    with contextlib.suppress(*BROKER_ERRORS):
                        await subscription.unsubscribe()
            except (*BROKER_ERRORS, TimeoutError) as error:
                log.warning("lane_waits", service_required=self.service, error=str(error) or repr(error))
            finally:
                self.bound = False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PAUSE_SECONDS)

    async def _bind(self) -> JetStreamContext.PullSubscription:
        """The durable is made where it is missing, or brought to our settings."""
        js = self._client.jetstream(timeout=ACK_TIMEOUT)
        await ensure_work_streams(self._client)
        name = f"worker-{self.service}"
        await js.add_consumer(
            WORK_STREAM,
            ConsumerConfig(
                durable_name=name,
                filter_subject=f"work.direct_job.{self.service}",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._ack_wait,
                max_ack_pending=-1,
            ),
        )
        return await js.pull_subscribe_bind(name, WORK_STREAM)

    async def _pull(self, subscription: JetStreamContext.PullSubscription) -> None:
        while not self._stopping.is_set():
            async with self._slots:
                pass  # one is free; it is taken when there is work for it
            try:
                messages = await subscription.fetch(1, PULL_SECONDS)
            except nats.errors.TimeoutError:
                continue
            for message in messages:
                self._take(message)
