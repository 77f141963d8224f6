"""The relay: the store is the outbox, and the relay publishes its events in order to the service's JetStream stream.

The fence makes this correct, not the lease. Each message names the message that must be the stream's last one
(`Nats-Expected-Last-Msg-Id`). So the stream refuses one of two relays, and when a message is lost, it refuses all that
follow: no event is skipped or recorded twice, and the order is the store's. So the stream has all messages of a batch
when it acknowledges the last one, and only that one asks for an acknowledgement.

After any failure (a refusal, a timeout, a lost connection, a store that went back) the relay compares stream and store
again (resuming.py), and goes on after the last event that both have. The first message then names the stream's last
sequence instead, because a restarted server may not remember the id. And each message asks for an acknowledgement,
until a batch has gone through: so it is known which event the stream refuses, and why.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import nats.errors
import psycopg
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from shared.backoff import Backoff
from shared.eventstore import EventStore, StoreUnavailable, UndecodedEvent, UnknownEventType
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.epochs import Epoch
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import migrate
from shared.eventstore.watermarks import HEAD_WATERMARK, QUIET
from shared.handling import parking
from shared.handling.retry import RetrySettings, retry_database
from shared.messaging.cloudevents import event_headers, event_subject, withheld_headers
from shared.messaging.connection import connected
from shared.messaging.outbox import BEGINNING, HistoryChanged, Outbox, Place, named
from shared.messaging.publishing import Ack, Publisher, Refused
from shared.messaging.refusals import NAME, Envelope, Refusals, size_of
from shared.messaging.resuming import Resuming
from shared.messaging.streams import MSG_ID, StreamLimits, ensure_stream, message_id, stream_name
from shared.progress import Progress
from shared.stopping import stop, stoppable, unless

SELECT_AGE_OF_FIRST_AFTER = """
select coalesce(extract(epoch from clock_timestamp() - min(oldest.recorded_at)), 0)::float8
from (select recorded_at from events where position > %b order by position limit 1) oldest"""
EXPECTED_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
VERIFY_EVERY = 5.0
"""Seconds between two checks of the stream while there is nothing to publish: it may have been deleted."""
LOOK_AGAIN = 0.05
CONNECT_WITHIN = 5.0
TROUBLE = (nats.errors.Error, psycopg.Error, StoreUnavailable, OSError, HistoryChanged, UnknownEventType, Refused)

log = structlog.get_logger()


@dataclass(frozen=True)
class Lag:
    """How far publishing is behind the store: positions, and the age in seconds of the oldest unpublished event."""

    events: int
    seconds: float


class StreamMoved(Exception):  # noqa: N818 - what was found
    """The stream's last message is not the one that this relay expected: stream and store must be compared again."""


class Relay:
    """Run one on every replica: the one that holds the lease publishes, the others wait for the lease."""

    def __init__(
        self,
        store: EventStore,
        service: str,
        nats_url: str,
        *,
        limits: StreamLimits | None = None,
        batch: int = 1000,
        ack_timeout: float = 5.0,
        verify_every: float = VERIFY_EVERY,
        give_up_after: float = 10.0,
        unknown_patience: float = 15.0,
        instance: str = "",
    ) -> None:
        self.store, self.service = store, service
        self._url, self._limits = nats_url, limits or StreamLimits()
        self._ack_timeout, self._verify_every, self._give_up_after = ack_timeout, verify_every, give_up_after
        self._instance = instance or "this replica"
        self._outbox = Outbox(store, limit=batch, unknown_patience=unknown_patience)
        self._resuming = Resuming(store, self._outbox, service)
        self._refusals = Refusals(store, self._outbox, service)
        self._place = BEGINNING
        self.active = False
        self.resyncs = 0
        self.trouble: str | None = None
        """The error because of which nothing is published at the moment."""
        self._well_at = 0.0
        self._verified_at = self._kept_at = 0.0
        self._kept: int | None = None
        """The checkpoint that was written last."""
        self._stuck_on: UndecodedEvent | None = None
        self._asks_for_each = False
        """An acknowledgement of each message: something has failed since the last batch that went through."""
        self._went_back = False
        self._lease: Lease | None = None
        store.on_epoch(self._on_epoch)

    def _on_epoch(self, _: Epoch) -> None:
        self._went_back = True

    @property
    def published(self) -> int:
        """Position of the last event that the stream is known to hold."""
        return self._place.position

    async def run(self) -> None:
        """Runs until cancelled, through outages of NATS and PostgreSQL of any length."""
        await run_as_leader(self.store, NAME, self.publish)

    async def publish(self, lease: Lease | None = None) -> None:
        """What the lease's holder does. After `give_up_after` seconds of failures it returns, so that another leads.

        Without the lease this is still correct, only wasteful.
        """
        await retry_database(lambda: migrate(self.store.dsn, parking.SCHEMA), NAME, RetrySettings())
        await retry_database(self._refusals.request_known, NAME, RetrySettings())
        backoff = Backoff(f"relay of {self.service}", on=(*TROUBLE, StreamMoved))
        self._lease = lease
        self.active, self._place, self._well_at, self._kept = True, BEGINNING, _now(), None
        try:
            while True:
                before = self._place
                try:
                    await stoppable(self._publish_over_one_connection())
                except (*TROUBLE, StreamMoved) as error:
                    self.trouble, self._asks_for_each = str(error) or repr(error), True
                    if self._place != before:
                        backoff.reset()
                    if _now() - self._well_at > self._give_up_after:
                        log.warning("relay_gives_up", service=self.service, error=self.trouble)
                        return
                    await backoff.pause(error)
        finally:
            self.active = False

    async def _publish_over_one_connection(self) -> None:
        lost = asyncio.Event()
        async with connected(self._url, f"{self.service}-relay", lost, within=CONNECT_WITHIN) as client:
            await unless(lost, self._publish_over(client))
        raise nats.errors.ConnectionClosedError

    async def _publish_over(self, client: Client) -> None:
        js, publisher = client.jetstream(timeout=self._ack_timeout), Publisher(client)
        await publisher.start()
        while True:
            await self._publish_from(js, publisher, await self._resync(client, js))

    async def _resync(self, client: Client, js: JetStreamContext) -> int:
        """Finds the place to go on from; gives the stream's last sequence. Makes the stream when it is gone."""
        self._went_back = False
        state = (await ensure_stream(client, self.service, self._limits)).state
        self._place = await self._resuming.place(js, state, self._checkpoint)
        self.resyncs += 1
        log.info("relay_resynced", service=self.service, position=self.published, sequence=state.last_seq)
        return state.last_seq

    async def _checkpoint(self) -> int:
        return await checkpoint(self.store, NAME)

    async def _publish_from(self, js: JetStreamContext, publisher: Publisher, end: int) -> None:
        """Publishes what follows. Raises StreamMoved when the stream is not what this relay takes it to be."""
        expected, verified_end = {EXPECTED_SEQUENCE: str(end)}, end
        self._verified_at = _now()
        waited, marks = True, self.store.watermarks
        asked: int | None = None  # there may be more after one that was retried, which began this anew
        asked_at = 0.0
        while True:
            if asked is None or marks.value(parking.RETRYING) != asked or _now() - asked_at > QUIET:
                asked, asked_at = marks.value(parking.RETRYING), _now()
                if await self._refusals.retry(publisher, expected, self._ack_timeout):
                    raise StreamMoved("an event was published that an operator had retried")
            await self._keep_checkpoint()
            if self._went_back:
                raise StreamMoved("the store went back")
            events = await self._outbox.after(self._place)
            if not events:
                self._well()
                if not waited:
                    await asyncio.sleep(LOOK_AGAIN)
                waited = not await self._news(js, verified_end, asked)
                if waited:
                    asked = None  # an operator's signal has come, or may have been lost
                continue
            self.store.watermarks.observe(HEAD_WATERMARK, events[-1].position)
            acks = []
            for event in events:
                envelope = await self._envelope(event, publisher)
                envelope.headers.update(expected)
                expected = {EXPECTED_ID: envelope.headers[MSG_ID]}
                if self._asks_for_each or event is events[-1]:
                    acks.append((event, await publisher.publish(*envelope)))
                else:
                    await publisher.send(*envelope)
            verified_end = await self._acknowledged(acks)
            waited = True

    async def _news(self, js: JetStreamContext, end: int, asked: int) -> bool:
        """Waits for the next event, or for an operator who has a withheld one tried again; whether there is an event.

        Meanwhile the checkpoint is written when it has moved, and the stream is verified, which must end at `end`.
        """
        marks = self.store.watermarks
        wanted = {HEAD_WATERMARK: self.published + 1, parking.RETRYING: asked + 1}
        news = asyncio.ensure_future(marks.wait_for_any(wanted))
        try:
            while not news.done():
                await asyncio.wait((news,), timeout=self._verify_every / (1 if self._kept == self.published else 2))
                if _now() - self._verified_at > self._verify_every:
                    self._verified_at = _now()
                    if (await js.stream_info(stream_name(self.service))).state.last_seq != end:
                        raise StreamMoved("its last sequence is another one")
                await self._keep_checkpoint()
        finally:
            await stop(news)
        return marks.value(HEAD_WATERMARK) > self.published

    async def _envelope(self, event: UndecodedEvent, publisher: Publisher) -> Envelope:
        epoch = self.store.epoch_of(event.position)
        headers = event_headers(self.service, event, epoch)
        headers[MSG_ID] = message_id(self.service, epoch, event.position)
        envelope = Envelope(event_subject(self.service, event), event.data, headers)
        reason = self._refusals.reasons.get(event.event_id)
        if not self.store.codec.has_aggregate(event.stored_type):
            reason = str(UnknownEventType(event.stored_type))
        if reason is None and size_of(headers, event.data) > publisher.max_payload:
            reason = f"it is larger than the broker's limit of {publisher.max_payload} bytes"
        if reason is None:
            return envelope
        await self._refusals.park(event, envelope, reason)
        return Envelope(envelope.subject, b"", {**withheld_headers(headers, reason), MSG_ID: headers[MSG_ID]})

    async def _acknowledged(self, acks: Sequence[tuple[UndecodedEvent, asyncio.Future[Ack]]]) -> int:
        """The sequence of the last message, when the stream has acknowledged all of them and none is a duplicate."""
        await asyncio.wait([ack for _, ack in acks], timeout=self._ack_timeout)
        sequence = 0
        trouble: Exception | None = None
        for event, ack in acks:
            trouble = self._trouble_of(event, ack)
            if trouble:
                self._stuck_on, self.trouble = event, str(trouble)
                break
            self._place, sequence, self._well_at = Place(event.position, event.event_id), ack.result().seq, _now()
            if ack.result().duplicate:
                trouble = StreamMoved("published before, by another relay or before an acknowledgement was lost")
                break
        for _, ack in acks:
            _forget(ack)
        self.store.watermarks.advance(NAME, self.published)
        if trouble:
            raise trouble
        self._asks_for_each = False
        self._well()
        return sequence

    def _trouble_of(self, event: UndecodedEvent, ack: asyncio.Future[Ack]) -> Exception | None:
        if not ack.done():
            return nats.errors.TimeoutError()
        error = ack.exception()
        if not isinstance(error, Exception):
            return None
        if isinstance(error, Refused) and self._refusals.note(event, error):
            return StreamMoved(f"{named(event)} is withheld: {error}")
        return error

    def _well(self) -> None:
        self._well_at, self.trouble, self._stuck_on = _now(), None, None

    async def _keep_checkpoint(self) -> None:
        """Is read only when retention has emptied the stream, and by replicas that wait; so it is written seldom."""
        if self._kept != self.published and _now() - self._kept_at > self._verify_every / 2:
            await set_checkpoint(self.store, NAME, self.published, self._lease, may_go_back=True)
            self._kept_at, self._kept = _now(), self.published

    # What operators see

    async def lag(self) -> Lag:
        """Works on any replica: the active one tells the others how far it is."""
        head, published = await self.store.head(), await self._known_published()
        if head <= published:
            return Lag(0, 0.0)
        ((age,),) = await self.store.pool.rows(SELECT_AGE_OF_FIRST_AFTER, (published,))
        return Lag(head - published, max(0.0, age))

    async def _known_published(self) -> int:
        if self.active and self.resyncs:
            return self.published
        return max(self.store.watermarks.value(NAME), await checkpoint(self.store, NAME))

    async def progress(self) -> list[Progress]:
        lag = await self.lag()
        async with self.store.pool.connection() as connection:
            parked = sum((await parking.count_unresolved(connection, NAME)).values())
            leader = await self.store.leases.leader(NAME, connection)
        trouble = self.trouble if self.active else None
        since = _now() - self._well_at if trouble else 0.0
        return [
            Progress(
                name=NAME,
                waiting=max(lag.events, 1 if trouble else 0),
                waiting_seconds=max(lag.seconds, since),
                event=named(self._stuck_on) if self._stuck_on and trouble else None,
                error=trouble,
                parked=parked,
                leader=self._instance if self.active else leader,
            )
        ]


def _forget(ack: asyncio.Future[Ack]) -> None:
    if ack.done():
        ack.exception()
    else:
        ack.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()
