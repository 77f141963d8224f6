"""The service's connection to NATS for work, results and progress, and the streams of work and results.

Both streams are work queues: a message is deleted when it is acknowledged. Each component that uses a stream creates it
if it is missing, so they are there again after a broker has lost its data.
"""

import asyncio
import contextlib

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

from shared.contracts.work import RESULTS_STREAM, WORK_STREAM
from shared.messaging.connection import close, connect
from shared.messaging.publishing import NO_STREAM, Ack, Publisher, Refused
from shared.messaging.streams import DUPLICATES_NS, StreamLimits, ensure

ACK_TIMEOUT = 5.0
PUBLISH_WITHIN = 10.0
"""Seconds, including a wait for the connection."""
RECONNECT_POLL = 0.1
LOST_POLL = 1.0
LOST_AFTER = 3.0
"""Seconds without a connection after which this replica gives up the lease of a process that needs one."""

STREAMS = {WORK_STREAM: ["work.>"], RESULTS_STREAM: ["results.>"]}

log = structlog.get_logger()


async def ensure_work_streams(client: Client, limits: StreamLimits | None = None) -> None:
    """Creates the streams of work and results if they are missing; changes only the `limits` of existing ones."""
    limits = limits or StreamLimits()
    for name, subjects in STREAMS.items():
        new = {
            "name": name,
            "subjects": subjects,
            "retention": "workqueue",
            "storage": "file",
            "duplicate_window": DUPLICATES_NS,
            "num_replicas": 1,
            **limits.as_settings(),
        }
        await ensure(client, new, limits)


class Broker:
    """One connection, opened in the background and reopened until cancelled. `client` and `publish` wait for it."""

    def __init__(self, nats_url: str, name: str, limits: StreamLimits | None = None) -> None:
        """`limits`: of the two streams."""
        self.url, self._name, self.limits = nats_url, name, limits
        self._client: asyncio.Future[Client] | None = None
        self._publisher: Publisher | None = None

    async def run(self) -> None:
        """Keeps the connection until cancelled."""
        client = await connect(self.url, self._name)
        try:
            self._publisher = Publisher(client)
            await self._publisher.start()
            self._connected().set_result(client)
            await asyncio.Event().wait()
        finally:
            await close(client)

    def _connected(self) -> "asyncio.Future[Client]":
        if self._client is None:
            self._client = asyncio.get_running_loop().create_future()
        return self._client

    async def client(self) -> Client:
        return await asyncio.shield(self._connected())

    async def jetstream(self) -> JetStreamContext:
        return (await self.client()).jetstream(timeout=ACK_TIMEOUT)

    async def ensure_streams(self) -> None:
        await ensure_work_streams(await self.client(), self.limits)

    async def publish(self, subject: str, body: bytes, message_id: str) -> bool:
        """Stores a message of work; False if JetStream has one with this id already.

        Raises MaxPayloadError for a message that is too large; another nats.errors.Error, or TimeoutError, for an error
        that may pass.
        """
        if self.is_connected():
            with contextlib.suppress(NoStreamResponseError):
                return not (await self._acknowledged(subject, body, message_id)).duplicate
        async with asyncio.timeout(PUBLISH_WITHIN):
            client = await self.client()
            while not client.is_connected:  # noqa: ASYNC110 - nats-py has a callback for it, but only one
                await asyncio.sleep(RECONNECT_POLL)
            await self.ensure_streams()
            return not (await self._acknowledged(subject, body, message_id)).duplicate

    async def _acknowledged(self, subject: str, body: bytes, message_id: str) -> Ack:
        """All acknowledgements share one inbox: nats-py's own publish takes three times as long to read one."""
        assert self._publisher is not None, "the publisher is made with the connection"
        answer = await self._publisher.publish(subject, body, {"Nats-Msg-Id": message_id})
        try:
            async with asyncio.timeout(ACK_TIMEOUT):
                return await answer
        except Refused as refused:
            if refused.code == NO_STREAM:
                raise NoStreamResponseError from refused
            error = {"code": refused.status, "err_code": refused.code, "description": refused.description}
            raise APIError.from_error(error) from refused

    def is_connected(self) -> bool:
        return self._client is not None and self._client.done() and self._client.result().is_connected

    async def lost(self) -> None:
        """Returns after LOST_AFTER seconds without a connection."""
        loop = asyncio.get_running_loop()
        since: float | None = None
        while since is None or loop.time() - since < LOST_AFTER:
            await asyncio.sleep(LOST_POLL)
            if self.is_connected():
                since = None
            elif since is None:
                since = loop.time()


BROKER_ERRORS = (nats.errors.Error, OSError)
"""The errors of a broker that can't be reached."""


def raise_if_stopped() -> None:
    """Raises CancelledError if the task is being cancelled: nats-py turns cancellations into errors of its own."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
