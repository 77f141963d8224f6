"""Publishing over one connection, in order and fenced, from a comparison of stream and store to the first failure.

Each message names the message that must be the stream's last one (`Nats-Expected-Last-Msg-Id`). So the stream refuses
one of two relays, and after a lost message it refuses all that follow: no event is skipped or recorded twice. Therefore
only the last message of a batch asks for an acknowledgement: with it, the stream has all messages of the batch.

The first message names the stream's last sequence instead, because a restarted server may not remember the id. After a
failure each message asks for an acknowledgement until a batch has gone through, which shows the event that the stream
refuses, and why.
"""

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import nats.errors
from nats.js import JetStreamContext

from shared.eventstore import EventStore, UndecodedEvent, UnknownEventType
from shared.eventstore.watermarks import HEAD_WATERMARK, QUIET
from shared.handling import parking
from shared.messaging.cloudevents import event_headers, event_subject, withheld_headers
from shared.messaging.outbox import Outbox, Place, describe
from shared.messaging.publishing import Ack, Publisher, Refused
from shared.messaging.refusals import NAME, Envelope, Refusals, size_of
from shared.messaging.relay_state import RelayState, now
from shared.messaging.streams import MSG_ID, message_id, stream_name
from shared.stopping import stop

EXPECTED_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
LOOK_AT_ONCE = -1
"""No watermark has this value."""
REREAD_PAUSE = 0.05
"""Seconds before the store is read again, when it had no event although its watermark was higher."""


class StreamMoved(Exception):  # noqa: N818 - what was found
    """The stream's last message is not the one that this relay expected: stream and store must be compared again."""


class FencedPublishing:
    """Publishes what follows `state.place`; `end` is the sequence of the stream's last message."""

    def __init__(
        self,
        store: EventStore,
        service: str,
        publisher: Publisher,
        outbox: Outbox,
        refusals: Refusals,
        state: RelayState,
        *,
        end: int,
        ack_timeout: float,
        verify_every: float,
    ) -> None:
        self._store, self._service, self._publisher = store, service, publisher
        self._outbox, self._refusals, self._state = outbox, refusals, state
        self._ack_timeout, self._verify_every = ack_timeout, verify_every
        self._end, self._verified_at = end, now()
        self._fence = {EXPECTED_SEQUENCE: str(end)}
        """The header of the next message."""
        self._signals = LOOK_AT_ONCE
        """The watermark of operators' retries when they were looked for last."""
        self._looked_at = 0.0

    async def run(self, js: JetStreamContext) -> NoReturn:
        """Publishes until something fails. Raises StreamMoved, and what failed."""
        is_watermark_ahead = False
        while True:
            await self._retry_withheld()
            await self._state.write_checkpoint()
            if self._state.went_back:
                raise StreamMoved("the store went back")
            events = await self._outbox.after(self._state.place)
            if events:
                await self._publish(events)
                is_watermark_ahead = False
                continue
            self._state.note_success()
            if is_watermark_ahead:
                await asyncio.sleep(REREAD_PAUSE)
            await self._wait(js)
            is_watermark_ahead = self._store.watermarks.value(HEAD_WATERMARK) > self._state.place.position
            if not is_watermark_ahead:
                self._signals = LOOK_AT_ONCE  # an operator's signal has come, or may have been lost

    async def _retry_withheld(self) -> None:
        """Publishes a withheld event that an operator retried: at first, after each signal, and every QUIET seconds."""
        signals = self._store.watermarks.value(parking.RETRYING)
        if self._signals == signals and now() - self._looked_at <= QUIET:
            return
        self._signals, self._looked_at = signals, now()
        if await self._refusals.retry(self._publisher, self._fence, self._ack_timeout):
            raise StreamMoved("an event was published that an operator had retried")

    async def _publish(self, events: list[UndecodedEvent]) -> None:
        self._store.watermarks.observe(HEAD_WATERMARK, events[-1].position)
        acks = []
        for event in events:
            envelope = await self._envelope(event)
            envelope.headers.update(self._fence)
            self._fence = {EXPECTED_ID: envelope.headers[MSG_ID]}
            if self._state.acknowledges_each or event is events[-1]:
                acks.append((event, await self._publisher.publish(*envelope)))
            else:
                await self._publisher.send(*envelope)
        self._end = await self._acknowledged(acks)

    async def _envelope(self, event: UndecodedEvent) -> Envelope:
        """The event's message; for one that can't be published, which is parked, the message that replaces it."""
        epoch = self._store.epoch_of(event.position)
        headers = event_headers(self._service, event, epoch)
        headers[MSG_ID] = message_id(self._service, epoch, event.position)
        envelope = Envelope(event_subject(self._service, event), event.data, headers)
        reason = self._refusals.reasons.get(event.event_id)
        if not self._store.codec.has_aggregate(event.stored_type):
            reason = str(UnknownEventType(event.stored_type))
        if reason is None and size_of(headers, event.data) > self._publisher.max_payload:
            reason = f"it is larger than the broker's limit of {self._publisher.max_payload} bytes"
        if reason is None:
            return envelope
        await self._refusals.park(event, envelope, reason)
        return Envelope(envelope.subject, b"", {**withheld_headers(headers, reason), MSG_ID: headers[MSG_ID]})

    async def _acknowledged(self, acks: Sequence[tuple[UndecodedEvent, asyncio.Future[Ack]]]) -> int:
        """The sequence of the last message, when the stream has acknowledged all of them and none is a duplicate."""
        state = self._state
        await asyncio.wait([ack for _, ack in acks], timeout=self._ack_timeout)
        sequence = 0
        error: Exception | None = None
        for event, ack in acks:
            error = self._error_of(event, ack)
            if error:
                state.stuck_on, state.error = event, str(error)
                break
            state.place, sequence, state.succeeded_at = Place(event.position, event.event_id), ack.result().seq, now()
            if ack.result().duplicate:
                error = StreamMoved("published before, by another relay or before an acknowledgement was lost")
                break
        for _, ack in acks:
            _forget(ack)
        self._store.watermarks.advance(NAME, state.place.position)
        if error:
            raise error
        state.acknowledges_each = False
        state.note_success()
        return sequence

    def _error_of(self, event: UndecodedEvent, ack: asyncio.Future[Ack]) -> Exception | None:
        if not ack.done():
            return nats.errors.TimeoutError()
        error = ack.exception()
        if not isinstance(error, Exception):
            return None
        if isinstance(error, Refused) and self._refusals.note(event, error):
            return StreamMoved(f"{describe(event)} is withheld: {error}")
        return error

    async def _wait(self, js: JetStreamContext) -> None:
        """Waits for the next event, or for an operator who retries a withheld one.

        Meanwhile the stream is verified every `verify_every` seconds, since it may be deleted or written to by others,
        and the checkpoint is written when it has moved.
        """
        thresholds = {HEAD_WATERMARK: self._state.place.position + 1, parking.RETRYING: self._signals + 1}
        news = asyncio.ensure_future(self._store.watermarks.wait_for_any(thresholds))
        try:
            while not news.done():
                timeout = self._verify_every / (1 if self._state.is_checkpoint_written else 2)
                await asyncio.wait((news,), timeout=timeout)
                if now() - self._verified_at > self._verify_every:
                    self._verified_at = now()
                    if (await js.stream_info(stream_name(self._service))).state.last_seq != self._end:
                        raise StreamMoved("its last sequence is another one")
                await self._state.write_checkpoint()
        finally:
            await stop(news)


def _forget(ack: asyncio.Future[Ack]) -> None:
    if ack.done():
        ack.exception()
    else:
        ack.cancel()
