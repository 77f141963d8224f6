"""The relay: the store is the outbox, and this publishes it, event after event, to the service's JetStream stream.

What makes it right is the fence, not the lease. Each message names the one that must stand before it
(`Nats-Expected-Last-Msg-Id`), so of two relays one is refused, and a message that got lost on the way takes all that
follow with it: nothing is skipped, nothing recorded twice, the order is the store's. Whatever goes wrong (a refusal, a
timeout, a lost connection) has one answer: ask the stream what its last message is, and go on behind that. The first
message after asking names the stream's sequence instead, because a restarted server may not know the id any more.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import nats.errors
import nats.js.errors
import psycopg
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from shared.eventstore import EventStore, StoreUnavailable, UndecodedEvent
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.lease import while_leader
from shared.eventstore.store import HEAD
from shared.messaging.cloudevents import event_headers, event_subject
from shared.messaging.connection import connected
from shared.messaging.publishing import Ack, Publisher
from shared.messaging.streams import MSG_ID, StreamLimits, ensure_stream, message_id, stream_name
from shared.stopping import stoppable, unless

NAME = "relay"
"""The lease, the checkpoint and the watermark of a service's relay."""
EXPECTED_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
LOOK_BACK = 10_000
"""How many messages from others, at the stream's end, are passed over in search of the last one of ours."""
PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before trying again what failed: the longer, the longer nothing could be published."""
VERIFY_EVERY = 5.0
"""Seconds between two looks at the stream while there is nothing to publish: somebody may have deleted it."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Cursor:
    """The end of the stream: the position published last, and the sequence that the next message must find."""

    position: int
    sequence: int


@dataclass(frozen=True)
class Lag:
    """How far publishing is behind the store: positions, and the age in seconds of the oldest unpublished event."""

    events: int
    seconds: float


class Relay:
    """Run one on every replica: the one that holds the lease publishes, the others wait for it to die."""

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
    ) -> None:
        self.store, self.service = store, service
        self._url, self._limits = nats_url, limits or StreamLimits()
        self._batch, self._ack_timeout, self._verify_every = batch, ack_timeout, verify_every
        self.published = 0
        """Position of the last event that the stream is known to hold."""
        self.active = False
        self.resyncs = 0
        self.trouble: str | None = None
        """Why nothing is published at the moment."""
        self._kept_at = time.monotonic()

    async def run(self) -> None:
        """Runs until cancelled, through outages of NATS and PostgreSQL of any length."""
        await while_leader(self.store.dsn, NAME, self.publish)

    async def publish(self) -> None:
        """What the lease's holder does. Without the lease it is as correct, only wasteful."""
        pause, self.active = PAUSE, True
        try:
            while True:
                before = self.published
                try:
                    await stoppable(self._publish_over_one_connection())
                except (nats.errors.Error, psycopg.Error, StoreUnavailable, OSError) as error:
                    self.trouble = repr(error)
                    log.warning("relay_waits", service=self.service, error=self.trouble)
                pause = PAUSE if self.published != before else min(pause * 2, LONGEST_PAUSE)
                await asyncio.sleep(pause)
        finally:
            self.active = False

    async def _publish_over_one_connection(self) -> None:
        lost = asyncio.Event()
        async with connected(self._url, f"{self.service}-relay", lost) as client:
            await unless(lost, self._publish_over(client))

    async def _publish_over(self, client: Client) -> None:
        js, publisher = client.jetstream(timeout=self._ack_timeout), Publisher(client)
        await publisher.start()
        while True:
            cursor = await self._resync(js)
            await self._publish_from(js, publisher, cursor)
            await asyncio.sleep(PAUSE)

    async def _resync(self, js: JetStreamContext) -> Cursor:
        """Where the stream ends. Creates it when it is gone: then everything is published again, from the store."""
        state = (await ensure_stream(js, self.service, self._limits, owned=True)).state
        if state.last_seq == 0:
            position = 0
        else:
            found = await self._last_position(js, state.first_seq, state.last_seq) if state.messages else None
            position = max(self.published, await checkpoint(self.store, NAME)) if found is None else found
        self.published = position
        self.resyncs += 1
        if position > await self.store.head():
            log.error("relay_ahead_of_store", service=self.service, published=position)
        log.info("relay_resynced", service=self.service, position=position, sequence=state.last_seq)
        return Cursor(position, state.last_seq)

    async def _last_position(self, js: JetStreamContext, first: int, last: int) -> int | None:
        """The position that the newest message of ours carries; None when there is none to be found."""
        for sequence in range(last, max(first, last - LOOK_BACK) - 1, -1):
            with contextlib.suppress(nats.js.errors.NotFoundError):
                position = self._position_of(await js.get_msg(stream_name(self.service), sequence))
                if position is not None:
                    return position
        return None

    def _position_of(self, message: RawStreamMsg) -> int | None:
        service, _, position = str((message.headers or {}).get(MSG_ID)).partition(":")
        return int(position) if service == self.service and position.isascii() and position.isdecimal() else None

    async def _publish_from(self, js: JetStreamContext, publisher: Publisher, cursor: Cursor) -> None:
        """Publishes what follows `cursor`; returns when the stream is not what this relay takes it to be."""
        position, expected = cursor.position, {EXPECTED_SEQUENCE: str(cursor.sequence)}
        end, verified = cursor.sequence, time.monotonic()
        self.trouble = None
        while True:
            batch = await self.store.read_undecoded(position, self._batch)
            if not batch.events:
                if not await self.store.watermarks.wait_beyond(HEAD, position):
                    await self._keep_checkpoint()
                    if time.monotonic() - verified > self._verify_every:
                        verified = time.monotonic()
                        if (await js.stream_info(stream_name(self.service))).state.last_seq != end:
                            return
                continue
            position = batch.position
            self.store.watermarks.observe(HEAD, position)
            acks = []
            for recorded in batch.events:
                headers = event_headers(self.service, recorded)
                headers.update(expected)
                headers[MSG_ID] = message_id(self.service, recorded.position)
                expected = {EXPECTED_ID: headers[MSG_ID]}
                subject = event_subject(self.service, recorded)
                acks.append(await publisher.publish(subject, recorded.data, headers))
            end = await self._acknowledged(batch.events, acks)
            self.store.watermarks.advance(NAME, self.published)
            if not end:
                return

    async def _acknowledged(self, events: Sequence[UndecodedEvent], acks: Sequence[asyncio.Future[Ack]]) -> int:
        """The sequence of the last message when the stream has taken all of them, each for the first time; else 0."""
        await asyncio.wait(acks, timeout=self._ack_timeout)
        refusal: object = None
        sequence = 0
        for recorded, ack in zip(events, acks, strict=True):
            if not ack.done():
                ack.cancel()
                refusal = refusal or "no acknowledgement in time"
            elif error := ack.exception():
                refusal = refusal or error
            elif refusal is None:
                self.published, sequence = recorded.position, ack.result().seq
                if ack.result().duplicate:
                    refusal = "published before, by another relay or before an acknowledgement was lost"
        if refusal is not None:
            self.trouble = str(refusal)
            log.warning("relay_refused", service=self.service, published=self.published, reason=str(refusal))
            return 0
        return sequence

    async def _keep_checkpoint(self) -> None:
        """Only for the day when retention has emptied the stream, so it is written lazily."""
        if time.monotonic() - self._kept_at > self._verify_every:
            await set_checkpoint(self.store, NAME, self.published)
            self._kept_at = time.monotonic()

    async def lag(self) -> Lag:
        """On any replica: the active one tells the others how far it is."""
        head = await self.store.head()
        if self.active and self.resyncs:
            published = self.published
        else:
            published = self.store.watermarks.value(NAME) or await checkpoint(self.store, NAME)
        if head <= published:
            return Lag(0, 0.0)
        oldest = await self.store.read_batch(published, 1)
        age = datetime.now(UTC) - oldest.events[0].recorded_at if oldest.events else timedelta(0)
        return Lag(head - published, max(0.0, age.total_seconds()))
