"""Consumers: a service handles the events of another service.

Events are handled in order per stream, and in parallel across streams. A failing event is retried, then parked; the
later events of its stream are parked behind it, and those of all other streams are handled. A message is settled when
it has been handled or parked (`shared.handling.delivery_handler`).

One replica of a service is active per consumer. Its checkpoint, up to which all messages are settled, is in the
service's own database, and the next active replica begins there; the broker's record is not used. Delivery is at
least once: see `Consumer`.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog
from nats.aio.msg import Msg

from shared.contracts.event import event_type
from shared.eventstore import EventStore
from shared.eventstore.epochs import Epoch
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import migrate
from shared.handling import parking
from shared.handling.delivery_handler import DeliveryHandler
from shared.handling.in_flight import InFlight
from shared.handling.parking import SCHEMA
from shared.handling.retry import RetrySettings, retry_database
from shared.handling.window import Window
from shared.messaging import consumer_checkpoints
from shared.messaging.cloudevents import LATE, foreign_reason, identify
from shared.messaging.consumer import Consumer
from shared.messaging.consumer_checkpoints import Floor, HistoryPoint
from shared.messaging.pulling import OVERHEAD, size_of
from shared.messaging.received import MessageReader, ReceivedMessage
from shared.messaging.streams import filters, stream_name
from shared.messaging.subscription import LostNats, Subscription, SubscriptionSettings, deliveries_name
from shared.messaging.unreadable import UnreadableMessage
from shared.progress import Progress
from shared.stopping import Group, run_until

LAST_CHECKPOINT_TIMEOUT = 1.0
"""Seconds for which a consumer that stops tries to save its checkpoint."""

log = structlog.get_logger()


@dataclass(frozen=True)
class ConsumerLag:
    """`pending` messages are not delivered yet (only the active replica knows that), `in_flight` are being handled."""

    active: bool
    pending: int
    in_flight: int
    parked: int
    waiting: int


class _WentBack(Exception):  # noqa: N818 - what happened
    """This service's own store was restored to an earlier moment."""


class ConsumerRunner:
    """Runs one consumer on the one replica that holds its lease."""

    def __init__(
        self,
        store: EventStore,
        consumer: Consumer,
        nats_url: str,
        *,
        retries: RetrySettings | None = None,
        settings: SubscriptionSettings | None = None,
        remember_every: float = 1.0,
        instance: str = "",
    ) -> None:
        self.store, self.consumer, self._remember_every = store, consumer, remember_every
        self._instance = instance or "this replica"
        codec = consumer.codec()
        tags = codec.stored_tags(event_type(event) for event in consumer.events)
        self._reader = MessageReader(consumer.owner, codec, tags)
        self.handler = DeliveryHandler(
            store, consumer.name, consumer.handle, self._reader.read_parked, retries or RetrySettings()
        )
        self._settings = settings or SubscriptionSettings()
        subjects = filters(consumer.owner, consumer.events)
        self.subscription = Subscription(consumer.owner, consumer.name, subjects, nats_url, self._settings)
        self._in_flight = self._new_in_flight(Group())
        self.last: HistoryPoint | None = None
        """The last event that was received in order."""
        self._saved: HistoryPoint | None = None
        """The checkpoint in the database."""
        self._is_replay = False
        """Whether messages up to `last` are delivered again."""
        self._received = 0
        """Stream sequence of the last message that was received in this round."""
        self._deliveries = 0
        """Number of that delivery."""
        self._moved = asyncio.Event()
        """Set when the checkpoint may have moved."""
        self._restart: asyncio.Event | None = None
        store.on_epoch(self._went_back)
        self.active = False

    def _new_in_flight(self, tasks: Group) -> InFlight[Floor]:
        bounds = (self._settings.max_in_flight, self._settings.max_bytes)
        return InFlight(self.handler, tasks, bounds, self._publish_settled)

    @property
    def window(self) -> Window:
        """Bounds the messages that are not settled, in number and bytes."""
        return self._in_flight.window

    async def run(self) -> None:
        """Runs until cancelled, through outages of NATS and PostgreSQL of any length."""
        name = self.consumer.name
        await retry_database(lambda: migrate(self.store.dsn, SCHEMA), name, self.handler.settings)
        await run_as_leader(self.store, f"consumer:{name}", self.consume)

    async def consume(self, lease: Lease | None = None) -> None:
        """Consumes from the checkpoint on, while this replica holds the lease, until it loses NATS."""
        self.handler.lease = lease
        self._is_replay = False
        await self.handler.load()
        load = partial(consumer_checkpoints.load, consumer=self.consumer.name)
        self.last = self._saved = await self.handler.database(load)
        self.active = True
        try:
            async with Group() as tasks:
                self._in_flight = self._new_in_flight(tasks)
                tasks.create_task(self.handler.resume_parked(self._in_flight.lanes))
                tasks.create_task(self._save_checkpoints())
                await self._follow()
        except* _WentBack:
            log.warning("consumer_starts_over", consumer=self.consumer.name, reason="this service's store went back")
        except* LostNats as lost:
            log.warning("consumer_gives_up", consumer=self.consumer.name, error=str(lost.exceptions[0]))
        finally:
            self.active = False
            await self._save_last_checkpoint()

    async def _follow(self) -> None:
        self._restart = asyncio.Event()
        await run_until(self._restart, self.subscription.run(self))
        raise _WentBack

    def _went_back(self, _: Epoch) -> None:
        """Restarts from the checkpoint in the database: what is in memory may be from before the restore."""
        if self._restart is not None:
            self._restart.set()

    # Called by the subscription

    def start_round(self, *, is_replay: bool) -> None:
        """See `Follower`."""
        self._is_replay = is_replay

    def round_started(self, sequence: int) -> None:
        """See `Follower`."""
        self._received = sequence
        self._deliveries = 0
        self._publish_settled()

    def receive(self, message: Msg) -> None:
        """Puts the message into its lane."""
        self._take(message)
        self._received = message.metadata.sequence.stream
        self._deliveries = message.metadata.sequence.consumer
        if not self._in_flight:
            self._publish_settled()

    def _take(self, message: Msg) -> None:
        owner, headers, reader = self.consumer.owner, message.headers or {}, self._reader
        identity = identify(headers)
        reason = foreign_reason(owner, headers, identity)
        at = message.metadata
        if reason or identity is None:
            message_id = f"{at.stream}:{at.sequence.stream}:{at.timestamp.isoformat()}"
            stray = ReceivedMessage(message_id, message.subject, headers, message.data, reader=reader)
            self._put(stray, size_of(message), f"not from the owner's relay: {reason}")
            return
        event = ReceivedMessage(
            str(identity.event_id),
            message.subject,
            headers,
            message.data,
            identity.stream_id,
            identity.position,
            identity.epoch,
            reader=reader,
            identity=identity,
        )
        if headers.get(LATE):
            self._put(event, size_of(message))
            return
        point = HistoryPoint.of(identity, at.sequence.stream)
        if self._is_replay:
            # Checked only during a replay; otherwise no message was received before.
            if self.last and self.last.covers(point):
                return
            self._is_replay = False
        self._put(event, size_of(message))
        self.last = point

    def receive_unreadable(self, message: UnreadableMessage) -> None:
        """Parks the message."""
        message_id = f"{stream_name(self.consumer.owner)}:{message.sequence}:{message.time}"
        headers = {"raw": message.headers.decode(errors="backslashreplace")}
        stray = ReceivedMessage(message_id, message.subject, headers, message.body, reader=self._reader)
        size = len(message.body) + OVERHEAD
        self._put(stray, size, "its subject or headers are not UTF-8, so no client can receive it")

    def _put(self, message: ReceivedMessage, size: int, rejection: str | None = None) -> None:
        self._in_flight.take(message, size, Floor(self.last, self._received), rejection)

    # Checkpoint

    def _publish_settled(self) -> None:
        """Publishes to every replica, as watermarks, up to where messages are settled: see arrivals.py."""
        self._moved.set()
        oldest = self._in_flight.oldest
        settled = self._received if oldest is None else oldest.floor.sequence
        self.store.watermarks.advance(self.subscription.settled_name, settled)
        if oldest is None:
            self.store.watermarks.advance(deliveries_name(self.subscription.settled_name), self._deliveries)

    async def _save_checkpoints(self) -> None:
        while True:
            await self._moved.wait()
            await asyncio.sleep(self._remember_every)
            self._moved.clear()
            await self._save_checkpoint()

    async def _save_checkpoint(self) -> None:
        """Messages are taken in order, so all before the oldest one in flight are settled."""
        oldest = self._in_flight.oldest
        point = self.last if oldest is None else oldest.floor.point
        if point and point != self._saved:
            await self.handler.database(partial(consumer_checkpoints.save, consumer=self.consumer.name, point=point))
            self._saved = point

    async def _save_last_checkpoint(self) -> None:
        """Tries to save it, so that the next replica repeats nothing; not after the store went back."""
        if self._restart is None or self._restart.is_set():
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(LAST_CHECKPOINT_TIMEOUT):
                await self._save_checkpoint()

    # Observation

    async def lag(self) -> ConsumerLag:
        """Counts parked events on any replica, and messages on the active one."""
        async with self.store.pool.connection() as connection:
            counts = await parking.count_unresolved(connection, self.consumer.name)
        parked = counts.get("parked", 0) + counts.get("retrying", 0)
        in_flight = len(self._in_flight)
        return ConsumerLag(self.active, self.subscription.pending, in_flight, parked, counts.get("waiting", 0))

    async def progress(self) -> list[Progress]:
        """On the active replica: what is unsettled, and what NATS has not delivered yet."""
        async with self.store.pool.connection() as connection:
            parked = sum((await parking.count_unresolved(connection, self.consumer.name)).values())
            leader = await self.store.leases.leader(f"consumer:{self.consumer.name}", connection)
        name = f"consumer {self.consumer.name}"
        if not self.active:
            return [Progress(name=name, parked=parked, leader=leader)]
        progress = self._in_flight.progress(name, parked=parked, leader=self._instance)
        waiting, seconds = progress.waiting + self.subscription.pending, progress.waiting_seconds
        if trouble := self.subscription.trouble:
            waiting += 1
            seconds = max(seconds, asyncio.get_running_loop().time() - self.subscription.since)
        error = progress.error or trouble
        return [msgspec.structs.replace(progress, waiting=waiting, waiting_seconds=seconds, error=error)]
