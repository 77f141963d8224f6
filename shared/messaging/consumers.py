"""Consumers: what a service does when something happened in another one.

In order per stream, in parallel across streams; acknowledged only after the handler's effect is committed. An event
that fails is tried again in its lane, then parked, and its stream waits behind it while all others flow. One replica of
a service is active per consumer. Deliveries are at least once: what makes effects happen once is the command id that
the handler derives from the event (`recorded.context.caused(recorded.event_id, name)`).
"""

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nats.aio.msg import Msg

from shared.eventstore import EventStore, Schema, migrate
from shared.eventstore.lease import while_leader
from shared.messaging import parking, progress
from shared.messaging.cloudevents import Identity, identify
from shared.messaging.handling import Consumer, Handling, RetrySettings, patiently
from shared.messaging.lanes import Lanes
from shared.messaging.parking import Message
from shared.messaging.progress import Mark
from shared.messaging.streams import MSG_ID, filters, message_id
from shared.messaging.subscription import Subscription, SubscriptionSettings

SCHEMA = Schema("messaging", Path(__file__).parent / "migrations")
REMEMBERED = 20_000
"""How many handled messages are known by heart, so that they are only acknowledged when they come again."""


@dataclass(frozen=True)
class ConsumerLag:
    """`pending` messages were not delivered yet (known to the active replica only), `in_flight` are being handled."""

    active: bool
    pending: int
    in_flight: int
    parked: int
    waiting: int


@dataclass(eq=False)
class Held:
    """A message that was delivered and not acknowledged; `raw` is its last delivery, `since` the loop's time of it."""

    raw: Msg
    message: Message
    mark: Mark | None
    since: float


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
    ) -> None:
        self.store, self.consumer, self._remember_every = store, consumer, remember_every
        self.handling = Handling(store, consumer, retries or RetrySettings())
        subjects = filters(consumer.owner, consumer.events)
        self.subscription = Subscription(
            consumer.owner, consumer.name, subjects, nats_url, settings or SubscriptionSettings()
        )
        self._held: dict[str, Held] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._last: Mark | None = None
        self._settled: Mark | None = None
        self.active = False

    async def run(self) -> None:
        """Runs until cancelled, through outages of NATS and PostgreSQL of any length."""
        name = self.consumer.name
        await patiently(lambda: migrate(self.store.dsn, SCHEMA), name, self.handling.retries)
        await while_leader(self.store.dsn, f"consumer:{name}", self.consume, check=0.5)

    async def consume(self) -> None:
        """What the lease's holder does."""
        self._held = {}
        await self.handling.recall()
        self._settled = await self.handling.database(
            lambda connection: progress.settled(connection, self.consumer.name)
        )
        self._last = self._settled
        self.active = True
        try:
            async with asyncio.TaskGroup() as tasks:
                lanes = Lanes(tasks)
                tasks.create_task(self.handling.resume_parked(lanes))
                tasks.create_task(self._heartbeats())
                tasks.create_task(self._remember())
                await self.subscription.run(lambda raw: self._receive(raw, lanes))
        finally:
            self.active = False

    async def lag(self) -> ConsumerLag:
        async with self.store.pool.connection() as connection:
            counts = await parking.counts(connection, self.consumer.name)
        parked = counts.get("parked", 0) + counts.get("retrying", 0)
        return ConsumerLag(self.active, self.subscription.pending, len(self._held), parked, counts.get("waiting", 0))

    def _receive(self, raw: Msg, lanes: Lanes) -> None:
        identity, now = identify(raw.headers or {}), asyncio.get_running_loop().time()
        message, mark = _message(raw, identity), self._mark(raw, identity)
        held = self._held.get(message.message_id)
        if held is not None:
            held.raw, held.since = raw, now
        elif mark and self._was_settled(mark):
            lanes.put(message.stream_id, lambda: _acknowledge(raw))
        else:
            self._held[message.message_id] = held = Held(raw, message, mark, now)
            lanes.put(message.stream_id or message.message_id, lambda: self._work(held))
            self._last = mark or self._last

    def _mark(self, raw: Msg, identity: Identity | None) -> Mark | None:
        """Where in the owner's history it stands, if its relay says so: nobody else's word moves what is settled."""
        if identity and (raw.headers or {}).get(MSG_ID) == message_id(self.consumer.owner, identity.position):
            return Mark(identity.position, identity.recorded_at)
        return None

    def _was_settled(self, mark: Mark) -> bool:
        """Only while history comes again: a message that says it is old at another time is not what it says."""
        if self.subscription.comes_again:
            self.subscription.comes_again = self._settled is not None and mark.within(self._settled)
        return self.subscription.comes_again

    async def _work(self, held: Held) -> None:
        message_id = held.message.message_id
        if message_id not in self._done:
            await self.handling.settle(held.message)
            self._done[message_id] = None
            if len(self._done) > REMEMBERED:
                self._done.popitem(last=False)
        del self._held[message_id]
        await _acknowledge(held.raw)

    async def _remember(self) -> None:
        """Messages come in the owner's order: what came before the oldest that is held is settled."""
        while True:
            await asyncio.sleep(self._remember_every)
            oldest = next(iter(self._held.values()), None)
            mark = self._last if oldest is None else oldest.mark and oldest.mark.before()
            if mark and not (self._settled and mark.within(self._settled)):
                await self.handling.database(partial(progress.settle, consumer=self.consumer.name, mark=mark))
                self._settled = mark

    async def _heartbeats(self) -> None:
        """Tells JetStream of messages that take their time, so that it does not deliver them again."""
        every = self.subscription.settings.ack_wait / 3
        while True:
            await asyncio.sleep(every)
            now = asyncio.get_running_loop().time()
            for held in [held for held in self._held.values() if now - held.since > every]:
                with contextlib.suppress(Exception):
                    await held.raw.in_progress()


def _message(raw: Msg, identity: Identity | None) -> Message:
    """A message as far as it can be read. One that has no event's identity gets one from its place in the stream."""
    headers = raw.headers or {}
    if identity:
        return Message(str(identity.event_id), raw.subject, headers, raw.data, identity.stream_id, identity.position)
    at = raw.metadata
    return Message(f"{at.stream}:{at.sequence.stream}:{at.timestamp.isoformat()}", raw.subject, headers, raw.data)


async def _acknowledge(raw: Msg) -> None:
    with contextlib.suppress(Exception):  # a lost acknowledgement brings it again, and then it is done already
        await raw.ack()
