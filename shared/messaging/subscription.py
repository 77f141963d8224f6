"""A durable pull consumer whose messages arrive in order and without a gap, whatever happens to anybody.

JetStream numbers each consumer's deliveries, one by one. As long as every number arrives, nothing is out with anybody
else: not with a replica that died, not in a connection that broke. When a number is missing, and whenever a
subscription starts over, the durable is reset to its acknowledgement floor (`CONSUMER.RESET`, nats-server 2.14): what
is not acknowledged comes again, before anything newer, in the stream's order. The receiver knows what it has seen.

The loop that pulls is FastStream's. Around it stands what it leaves open in 0.7.8: it spins when its durable or its
connection is gone, and its own error callback breaks nats-py's reconnecting on some errors. So the connection is ours,
every trouble ends the round, and the next one starts with a new connection.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import nats.errors
import nats.js.errors
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.subscriber import PullStreamSubscriber
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as JetStreamAckPolicy
from nats.js.api import ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError

from shared.messaging.connection import close, connect
from shared.messaging.streams import stream_name
from shared.stopping import stoppable, unless

OLDEST_SERVER = (2, 14)
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

log = structlog.get_logger()


@dataclass(frozen=True)
class SubscriptionSettings:
    max_in_flight: int = 256
    """Messages taken and not acknowledged: the bound of parallel work, and of memory."""
    batch: int = 128
    pull_timeout: float = 1.0
    """Seconds that one pull waits for messages; they are delivered as soon as they are there."""
    ack_wait: float = 30.0
    """Seconds without a sign of life after which a message is delivered again."""
    look_every: float = 2.0
    """Seconds between two looks whether the durable is still the one that it was."""


class Subscription:
    def __init__(
        self, owner: str, name: str, subjects: list[str], nats_url: str, settings: SubscriptionSettings
    ) -> None:
        self.owner, self.name, self.subjects, self.settings = owner, name, subjects, settings
        self._url = nats_url
        self._expected = 0
        self._over = asyncio.Event()
        self.rounds = 0
        self.comes_again = False
        """Whether what is delivered may have been delivered before; its receiver may say when it no longer is."""
        self.pending = 0
        """Messages that were not delivered yet, when last looked."""

    async def run(self, receive: Callable[[Msg], None]) -> None:
        """Hands every message to `receive`, in order; those not acknowledged come again. Until cancelled."""
        pause = FIRST_PAUSE
        while True:
            self._over = asyncio.Event()
            try:
                await stoppable(self._round(receive))
                pause = FIRST_PAUSE
            except NotFoundError:
                log.info("consumer_waits_for_stream", consumer=self.name, stream=stream_name(self.owner))
                pause = FIRST_PAUSE
            except (nats.errors.Error, OSError) as error:
                log.warning("consumer_waits", consumer=self.name, error=str(error) or repr(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _round(self, receive: Callable[[Msg], None]) -> None:
        broker = Broker(self._url, self.name, self._over)
        client = await broker.connect()
        try:
            await unless(self._over, self._consume(broker, client, receive))
        finally:
            await close(client)

    async def _consume(self, broker: NatsBroker, client: Client, receive: Callable[[Msg], None]) -> None:
        info = await self._durable(client)
        self.rounds += 1
        log.info("consumer_subscribed", consumer=self.name, pending=info.num_pending)
        subscriber = self._subscriber(broker, receive)
        await broker.start()
        # FastStream pulls through this attribute, so this is where its loop can be held back.
        subscriber.subscription = cast("Any", Pull(subscriber.subscription, self._over))
        try:
            await self._watch(client, info)
        finally:
            subscriber.running = False
            with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError):
                await subscriber.stop()

    def _subscriber(self, broker: NatsBroker, receive: Callable[[Msg], None]) -> PullStreamSubscriber:
        subscriber = broker.subscriber(
            config=self._config(),
            durable=self.name,
            stream=JStream(stream_name(self.owner), declare=False),
            pull_sub=PullSub(batch_size=self.settings.batch, timeout=self.settings.pull_timeout),
            ack_policy=AckPolicy.MANUAL,
        )

        async def take(message: NatsMessage) -> None:
            self._receive(message.raw_message, receive)

        subscriber(take, decoder=_undecoded)
        return subscriber

    def _receive(self, message: Msg, receive: Callable[[Msg], None]) -> None:
        number = message.metadata.sequence.consumer
        if number != self._expected:
            if not self._over.is_set():
                log.info("consumer_missed_a_delivery", consumer=self.name, expected=self._expected, got=number)
            self._over.set()
        if self._over.is_set():
            return
        self._expected = number + 1
        try:
            receive(message)
        except Exception:  # FastStream would drop it without a word
            log.exception("consumer_receive_failed", consumer=self.name)
            self._over.set()

    def _config(self) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=self.name,
            filter_subjects=self.subjects,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=JetStreamAckPolicy.EXPLICIT,
            ack_wait=self.settings.ack_wait,
            max_deliver=-1,
            max_ack_pending=self.settings.max_in_flight,
        )

    async def _durable(self, client: Client) -> ConsumerInfo:
        """The durable, made if need be, with nothing out. Raises NotFoundError while its owner has no stream yet."""
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST_SERVER:
            raise nats.errors.Error(f"nats-server {version} is too old: {'.'.join(map(str, OLDEST_SERVER))} is needed")
        js, stream = client.jetstream(), stream_name(self.owner)
        try:
            info: ConsumerInfo = await js.consumer_info(stream, self.name)
            if _differs(info.config, self._config()):
                info = await js.add_consumer(stream, self._config())
            self._expected, self.comes_again = _delivered(info) + 1, bool(info.num_ack_pending)
            if info.num_ack_pending:
                await js.reset_consumer(stream, self.name)
                self._expected = 1  # whatever was delivered since then, and to whomever
        except NotFoundError:
            info = await js.add_consumer(stream, self._config())
            self._expected, self.comes_again = 1, True
        return info

    async def _watch(self, client: Client, start: ConsumerInfo) -> None:
        """Returns when a delivery is missing that nothing follows, or when the durable is not the same any more."""
        js, before = client.jetstream(), (0, 0)
        while True:
            await asyncio.sleep(self.settings.look_every)
            info = await js.consumer_info(stream_name(self.owner), self.name)
            self.pending = info.num_pending
            now = (_delivered(info), self._expected)
            lost = now == before and now[0] >= now[1]
            if lost or info.created != start.created:
                log.info("consumer_starts_over", consumer=self.name, delivered=now[0], expected=now[1])
                return
            before = now


class Broker(NatsBroker):
    """FastStream's broker over a connection of ours: its own would not survive every message and every error."""

    def __init__(self, url: str, name: str, lost: asyncio.Event) -> None:
        super().__init__(logger=None, apply_types=False)
        self._open = partial(connect, url, name, lost)

    async def _connect(self) -> Client:
        client = await self._open()
        self.config.connect(client)
        return client


class Pull:
    """The part of nats-py's PullSubscription that FastStream uses, made safe to be called in an endless loop."""

    def __init__(self, subscription: JetStreamContext.PullSubscription | None, over: asyncio.Event) -> None:
        assert subscription is not None, "a started subscriber has a subscription"
        self._subscription, self._over = subscription, over

    async def fetch(self, batch: int, timeout: float | None) -> list[Msg]:  # noqa: ASYNC109 - the signature is given
        if self._over.is_set():
            await asyncio.sleep(1)
            return []
        try:
            return await self._subscription.fetch(batch, timeout)
        except TimeoutError:  # nats-py's own, or asyncio's: it raises either
            return []
        except Exception as error:  # noqa: BLE001 - FastStream would try again at once, and again
            if not isinstance(error, nats.errors.ConnectionClosedError):
                log.info("consumer_pull_failed", error=repr(error))
            self._over.set()
            return []

    async def unsubscribe(self) -> None:
        await self._subscription.unsubscribe()


async def _undecoded(message: NatsMessage) -> NatsMessage:
    """FastStream's decoder: the message stays as it is, since decoding may fail and then needs an answer of ours."""
    return message


def _delivered(info: ConsumerInfo) -> int:
    """The number of the last delivery."""
    return info.delivered.consumer_seq if info.delivered else 0


def _differs(found: ConsumerConfig, wanted: ConsumerConfig) -> bool:
    subjects = set(found.filter_subjects or ()) | ({found.filter_subject} if found.filter_subject else set())
    return (subjects, found.ack_wait, found.max_ack_pending) != (
        set(wanted.filter_subjects or ()),
        wanted.ack_wait,
        wanted.max_ack_pending,
    )
