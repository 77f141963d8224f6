"""Consumers: a service handles the events of another service.

Events are handled in order per stream, and in parallel across streams. An event that fails is retried in its lane, then
parked; the later events of its stream wait behind it, and those of all other streams go on. One replica of a service is
active per consumer. The mark up to which all events are settled is in the service's own database, and the next active
replica begins there; what the broker says about it does not count. Delivery is at least once: an effect happens once
because the handler derives its command id from the event (`recorded.context.caused(recorded.event_id, name)`).
"""

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from itertools import count

import structlog
from nats.aio.msg import Msg

from shared.eventstore import EventStore
from shared.eventstore.epochs import Epoch
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import migrate
from shared.handling import parking
from shared.handling.lanes import Lanes
from shared.handling.parking import SCHEMA, Message
from shared.handling.retry import RetrySettings, retry_database
from shared.handling.window import Window
from shared.messaging import marks
from shared.messaging.cloudevents import LATE, Identity, foreign, identify
from shared.messaging.handling import Consumer, Handling
from shared.messaging.marks import Mark
from shared.messaging.places import Unreadable
from shared.messaging.pulling import OVERHEAD, size_of
from shared.messaging.streams import filters, stream_name
from shared.messaging.subscription import LostNats, Subscription, SubscriptionSettings, deliveries_name
from shared.progress import Progress
from shared.stopping import Group, unless

LAST_WORDS = 1.0
"""Seconds for which a consumer that stops tries to record its mark."""

log = structlog.get_logger()


@dataclass(frozen=True)
class ConsumerLag:
    """`pending` messages are not delivered yet (only the active replica knows that), `in_flight` are being handled."""

    active: bool
    pending: int
    in_flight: int
    parked: int
    waiting: int


@dataclass(eq=False)
class Held:
    """A message that is not settled yet. `before` and `sequence_before` are those of the message before it.

    `since` is the event loop's time.
    """

    before: Mark | None
    sequence_before: int
    since: float
    what: str


class _WentBack(Exception):  # noqa: N818 - what happened
    """This service's own store was put back to an earlier moment."""


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
        self.handling = Handling(store, consumer, retries or RetrySettings())
        self._settings = settings or SubscriptionSettings()
        subjects = filters(consumer.owner, consumer.events)
        self.subscription = Subscription(consumer.owner, consumer.name, subjects, nats_url, self._settings)
        self._lanes = Lanes(Group())
        self.window = Window(self._settings.max_in_flight, self._settings.max_bytes, self._stalled)
        self._numbers = count()
        self._held: dict[int, Held] = {}
        self.last: Mark | None = None
        self._settled: Mark | None = None
        self._comes_again = False
        self._received = 0
        """Stream sequence of the last message that was received in this round."""
        self._deliveries = 0
        """Number of that delivery."""
        self._moved = asyncio.Event()
        """Set when the mark may have moved."""
        self._restart: asyncio.Event | None = None
        store.on_epoch(self._went_back)
        self.active = False

    async def run(self) -> None:
        """Runs until cancelled, through outages of NATS and PostgreSQL of any length."""
        name = self.consumer.name
        await retry_database(lambda: migrate(self.store.dsn, SCHEMA), name, self.handling.retries)
        await run_as_leader(self.store, f"consumer:{name}", self.consume)

    async def consume(self, lease: Lease | None = None) -> None:
        """What the lease's holder does, until it loses NATS. It begins with what the database says."""
        self.handling.lease = lease
        self._held, self._comes_again = {}, False
        await self.handling.recall()
        self.last = self._settled = await self.handling.database(lambda it: marks.settled(it, self.consumer.name))
        self.active = True
        try:
            async with Group() as tasks:
                self._lanes = Lanes(tasks)
                self.window = Window(self._settings.max_in_flight, self._settings.max_bytes, self._stalled)
                self.handling.on_failing = self.window.changed
                tasks.create_task(self.handling.resume_parked(self._lanes))
                tasks.create_task(self._remember())
                await self._follow()
        except* _WentBack:
            log.warning("consumer_starts_over", consumer=self.consumer.name, reason="this service's store went back")
        except* LostNats as lost:
            log.warning("consumer_gives_up", consumer=self.consumer.name, error=str(lost.exceptions[0]))
        finally:
            self.active = False
            await self._remember_at_the_end()

    async def _follow(self) -> None:
        self._restart = asyncio.Event()
        await unless(self._restart, self.subscription.run(self))
        raise _WentBack

    def _went_back(self, _: Epoch) -> None:
        """Starts over from the mark in the database: what this process remembers may be from before the restore."""
        if self._restart is not None:
            self._restart.set()

    def _stalled(self) -> int:
        """How many unsettled messages wait for a retry, or behind a message that does."""
        failing = self.handling.failing.values()
        return sum(1 + self._lanes.waiting(each.key) for each in failing)

    # What the subscription delivers

    def begin(self, *, comes_again: bool) -> None:
        self._comes_again = comes_again

    def began(self, sequence: int) -> None:
        self._received = sequence
        self._deliveries = 0
        self._tell_settled()

    def receive(self, message: Msg) -> None:
        self._take(message)
        self._received = message.metadata.sequence.stream
        self._deliveries = message.metadata.sequence.consumer
        if not self._held:
            self._tell_settled()

    def _take(self, message: Msg) -> None:
        owner, headers = self.consumer.owner, message.headers or {}
        identity = identify(headers)
        refused = foreign(owner, headers, identity)
        at = message.metadata
        if refused or identity is None:
            stands_for = f"{at.stream}:{at.sequence.stream}:{at.timestamp.isoformat()}"
            stray = Message(stands_for, message.subject, headers, message.data)
            self._hold(stray, size_of(message), f"not of the owner's relay: {refused}")
            return
        event = Message(
            str(identity.event_id),
            message.subject,
            headers,
            message.data,
            identity.stream_id,
            identity.position,
            identity.epoch,
            identity=identity,
        )
        if headers.get(LATE):
            self._hold(event, size_of(message), None)
            return
        mark = _mark(identity, at.sequence.stream)
        if self._comes_again:
            # Received before. This is checked only while history is delivered again; otherwise no message is old.
            if self.last and self.last.covers(mark):
                return
            self._comes_again = False
        self._hold(event, size_of(message), None)
        self.last = mark

    def receive_unreadable(self, message: Unreadable) -> None:
        stands_for = f"{stream_name(self.consumer.owner)}:{message.sequence}:{message.time}"
        headers = {"raw": message.headers.decode(errors="backslashreplace")}
        stray = Message(stands_for, message.subject, headers, message.body)
        size = len(message.body) + OVERHEAD
        self._hold(stray, size, "its subject or headers are not UTF-8: no client can be given it")

    def _hold(self, message: Message, size: int, refused: str | None) -> None:
        number, now = next(self._numbers), asyncio.get_running_loop().time()
        what = f"{message.headers.get('ce-type', 'a message')} {message.message_id} at {message.position}"
        self._held[number] = Held(self.last, self._received, now, what)
        self.window.take(size)
        self._lanes.put(message.stream_id or message.message_id, partial(self._work, number, message, size, refused))

    async def _work(self, number: int, message: Message, size: int, refused: str | None) -> None:
        await self.handling.settle(message, refused)
        del self._held[number]
        self.window.give_back(size)
        self._tell_settled()

    def _tell_settled(self) -> None:
        """Tells every replica what is settled: see arrivals.py."""
        self._moved.set()
        oldest = next(iter(self._held.values()), None)
        settled = self._received if oldest is None else oldest.sequence_before
        self.store.watermarks.advance(self.subscription.settled_name, settled)
        if oldest is None:
            self.store.watermarks.advance(deliveries_name(self.subscription.settled_name), self._deliveries)

    async def _remember(self) -> None:
        """Records the mark at intervals. Messages come in order, so all before the oldest held one are settled."""
        while True:
            await self._moved.wait()
            await asyncio.sleep(self._remember_every)
            self._moved.clear()
            await self._keep_mark()

    async def _keep_mark(self) -> None:
        oldest = next(iter(self._held.values()), None)
        mark = self.last if oldest is None else oldest.before
        if mark and mark != self._settled:
            await self.handling.database(partial(marks.settle, consumer=self.consumer.name, mark=mark))
            self._settled = mark

    async def _remember_at_the_end(self) -> None:
        """Tries to record the mark, so that the next replica repeats nothing; not after the store went back."""
        if self._restart is None or self._restart.is_set():
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(LAST_WORDS):
                await self._keep_mark()

    # What operators see

    async def lag(self) -> ConsumerLag:
        async with self.store.pool.connection() as connection:
            counts = await parking.counts(connection, self.consumer.name)
        parked = counts.get("parked", 0) + counts.get("retrying", 0)
        return ConsumerLag(self.active, self.subscription.pending, len(self._held), parked, counts.get("waiting", 0))

    async def progress(self) -> list[Progress]:
        """On the active replica: what is unsettled, and what NATS has not delivered yet."""
        async with self.store.pool.connection() as connection:
            parked = sum((await parking.counts(connection, self.consumer.name)).values())
            leader = await self.store.leases.leader(f"consumer:{self.consumer.name}", connection)
        name = f"consumer {self.consumer.name}"
        if not self.active:
            return [Progress(name=name, parked=parked, leader=leader)]
        now = asyncio.get_running_loop().time()
        oldest = next(iter(self._held.values()), None)
        failing = next(iter(self.handling.failing.values()), None)
        trouble = self.subscription.trouble
        since = [each.since for each in (oldest, failing) if each] + ([self.subscription.since] if trouble else [])
        return [
            Progress(
                name=name,
                waiting=len(self._held) + self.subscription.pending + (1 if trouble else 0),
                waiting_seconds=max((now - each for each in since), default=0.0),
                event=str(failing) if failing else oldest.what if oldest else None,
                error=failing.error if failing else trouble,
                parked=parked,
                leader=self._instance,
            )
        ]


def _mark(identity: Identity, sequence: int) -> Mark:
    return Mark(identity.epoch, identity.position, identity.recorded_at, identity.event_id, sequence)
