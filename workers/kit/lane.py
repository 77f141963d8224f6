"""One kind of work, pulled from the durable consumer that all workers of the kind share."""

import asyncio
import contextlib
from collections.abc import Callable

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from shared.contracts.work import WORK_STREAM, cancel_subject, consumer_name, work_subject

ACK_TIMEOUT = 5.0
"""Seconds in which the broker must answer."""
PULL_SECONDS = 1.0
"""How long one pull waits. `stop` lets it end, so that no message is delivered to a pull that was abandoned."""
PAUSE_SECONDS = 0.5
BROKER_ERRORS = (nats.errors.Error, OSError, TimeoutError)
"""The errors of a broker that can't be reached."""

log = structlog.get_logger()


class Lane:
    """Pulls one message at a time while a slot is free, until stopped; also after the broker has restarted.

    What arrives in the moment when the last slot is taken waits with its lease kept; that is one message a lane.
    `take` gets each message of work, `cancel` each request to cancel work of this kind.
    """

    def __init__(
        self,
        client: Client,
        kind: str,
        slots: asyncio.Semaphore,
        take: Callable[[Msg], None],
        cancel: Callable[[Msg], None],
        *,
        ack_wait: float,
    ) -> None:
        self._client, self._slots, self._take, self._cancel, self._ack_wait = client, slots, take, cancel, ack_wait
        self.kind = kind
        self.bound = False
        """Whether there is a consumer to pull from."""
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends `run` after the pull that is waiting."""
        self._stopping.set()

    async def run(self) -> None:
        """Pulls until stopped. The engine makes the stream: before that, the lane waits."""
        requests = await self._client.subscribe(cancel_subject(self.kind), cb=self._cancelled)
        try:
            while not self._stopping.is_set():
                await self._pull_until_error()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), PAUSE_SECONDS)
        finally:
            with contextlib.suppress(*BROKER_ERRORS):
                await requests.unsubscribe()

    async def _cancelled(self, message: Msg) -> None:
        self._cancel(message)

    async def _pull_until_error(self) -> None:
        try:
            subscription = await self._bind()
            self.bound = True
            try:
                await self._pull(subscription)
            finally:
                with contextlib.suppress(*BROKER_ERRORS):
                    await subscription.unsubscribe()
        except BROKER_ERRORS as error:
            log.warning("lane_waits", kind=self.kind, error=str(error) or repr(error))
        finally:
            self.bound = False

    async def _bind(self) -> JetStreamContext.PullSubscription:
        """Creates the consumer if missing, or brings it to this worker's settings."""
        js = self._client.jetstream(timeout=ACK_TIMEOUT)
        name = consumer_name(self.kind)
        config = ConsumerConfig(
            # With a name, the request's subject contains the filter, so that NATS permissions can bind a worker to it.
            name=name,
            durable_name=name,
            filter_subject=work_subject(self.kind),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait,
            max_ack_pending=-1,
        )
        await js.add_consumer(WORK_STREAM, config)
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
