"""Where a relay continues: after the last message of its stream whose event the store still holds (the common one).

After the common message the stream may hold:

- messages of events that the store does not hold any more, because it went back. A new epoch begins, so that the events
  that are recorded at their positions now are published under other ids. The log names the events that were lost.
- messages that no relay has sent ("strays"). They are skipped and logged, and the readiness of each replica names the
  last one until the service is restarted.

When the stream is empty, the relay continues from the checkpoint. That is in the same database as the events, so a
restore takes both back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg, StreamState
from nats.js.errors import NotFoundError

from shared.eventstore import EventStore
from shared.messaging.cloudevents import LATE, Identity, identify
from shared.messaging.consumer_checkpoints import HistoryPoint
from shared.messaging.message_search import STEPS, point_of
from shared.messaging.outbox import BEGINNING, Outbox, Place
from shared.messaging.streams import stream_name

MAX_READ = 1000
"""Messages after the common one that are read at most, to name the lost events in the log."""
MAX_NAMES = 100
"""Lost events that the log names."""
EPOCHS_AHEAD = 1000
"""A message whose epoch is this far ahead of the store's can't be from its relay."""
STRAY_WATERMARK = "stray"
"""The watermark of the stream's sequence of the last stray that was found."""
WENT_BACK = "the stream holds events that the store does not: it was restored to an earlier moment, or lost commits"

log = structlog.get_logger()


@dataclass
class AfterCommon:
    """What a stream holds after the common message."""

    place: Place
    lost: list[HistoryPoint] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Type and id of the first of them."""
    strays: int = 0
    last_stray: int = 0
    """Its sequence in the stream."""
    unseen: int = 0
    """Messages that were not read, because there were too many."""


class Resuming:
    """Finds the place after which a service's relay continues."""

    def __init__(self, store: EventStore, outbox: Outbox, service: str) -> None:
        self._store, self._outbox, self._service = store, outbox, service

    async def place(self, js: JetStreamContext, state: StreamState, checkpoint: Callable[[], Awaitable[int]]) -> Place:
        """The last event that both stream and store hold; begins an epoch when the store went back."""
        await self._store.refresh_epochs()
        if state.last_seq == 0:
            return BEGINNING
        if not state.messages:
            return await self._outbox.at(await checkpoint())
        common = await self._last_common(js, state)
        after = await self._behind(js, state, common.sequence or 0 if common else state.first_seq - 1)
        if common:
            after.place = Place(common.position, common.event_id)
        elif after.lost:
            # The store holds no event of the messages that the stream still has; those before them were published.
            first = min(mark.position for mark in after.lost)
            after.place = await self._outbox.at(min(first - 1, await checkpoint()))
        else:
            after.place = await self._outbox.at(await checkpoint())
        if after.lost:
            await self._begin_epoch(after)
        if after.strays:
            last = after.last_stray
            log.warning("relay_passes_over_strays", service=self._service, messages=after.strays, last=last)
            self._store.watermarks.advance(STRAY_WATERMARK, last)
        return after.place

    async def _begin_epoch(self, after: AfterCommon) -> None:
        first = after.place.position + 1
        beyond = max(mark.epoch for mark in after.lost)
        details = _details(after)
        if self._store.epoch_of(first) <= beyond:
            await self._store.begin_epoch(WENT_BACK, first, details, after=beyond)
        log.error("events_were_taken_back", service=self._service, epoch=self._store.epoch_of(first), **details)

    async def _is_history(self, mark: HistoryPoint) -> bool:
        event = await self._outbox.read(mark.position)
        if event is None:
            return False
        return (self._store.epoch_of(event.position), event.event_id) == (mark.epoch, mark.event_id)

    async def _last_common(self, js: JetStreamContext, state: StreamState) -> HistoryPoint | None:
        """The common message: searched from the end by strides that double, then by halving the last stride."""
        high, stride, low = state.last_seq, 1, None
        sequence = state.last_seq
        while low is None:
            point = await self._ours_from(js, sequence)
            if point and await self._is_history(point):
                low = point
            elif sequence <= state.first_seq:
                return None
            else:
                high = sequence - 1
                sequence = max(state.first_seq, sequence - stride)
                stride *= 2
        while (low.sequence or 0) < high:
            middle = ((low.sequence or 0) + high + 1) // 2
            point = await self._ours_from(js, middle)
            if point and (point.sequence or 0) <= high and await self._is_history(point):
                low = point
            else:
                high = middle - 1
        return low

    async def _ours_from(self, js: JetStreamContext, sequence: int) -> HistoryPoint | None:
        """The first message at or after a sequence whose headers are those of our relay."""
        for _ in range(STEPS):
            message = await self._next(js, sequence)
            if message is None or message.seq is None:
                return None
            if mark := self._ours(message):
                return mark
            sequence = message.seq + 1
        return None

    def _ours(self, message: RawStreamMsg) -> HistoryPoint | None:
        """The message's mark, if all its headers and its subject are those of our relay; an id alone proves nothing."""
        mark = point_of(self._service, message)
        if mark is None:
            return None
        identity = identify(message.headers or {})
        assert identity is not None, "a mark is made of one"
        if not _subject_fits(message.subject or "", self._service, identity):
            return None
        return mark if mark.epoch <= self._store.epochs.latest.number + EPOCHS_AHEAD else None

    async def _behind(self, js: JetStreamContext, state: StreamState, sequence: int) -> AfterCommon:
        after = AfterCommon(BEGINNING)
        for _ in range(MAX_READ):
            message = await self._next(js, sequence + 1)
            if message is None or message.seq is None:
                break
            sequence = message.seq
            mark = self._ours(message)
            if mark is None:
                if not (message.headers or {}).get(LATE):
                    after.strays, after.last_stray = after.strays + 1, sequence
            elif not await self._is_history(mark):
                after.lost.append(mark)
                if len(after.names) < MAX_NAMES:
                    after.names.append(f"{(message.headers or {}).get('ce-type')} {mark.event_id}")
        after.unseen = max(0, state.last_seq - sequence)
        return after

    async def _next(self, js: JetStreamContext, sequence: int) -> RawStreamMsg | None:
        try:
            return await js.get_msg(stream_name(self._service), sequence, subject=">", next=True)
        except NotFoundError:
            return None


def _subject_fits(subject: str, service: str, identity: Identity) -> bool:
    parts = subject.split(".", 4)
    return len(parts) == 5 and parts[:2] == ["events", service] and parts[3] == str(identity.stream_id)


def _details(after: AfterCommon) -> dict[str, Any]:
    lost = after.lost
    return {
        "taken_back": len(lost) + after.unseen,
        "first": f"{lost[0].epoch}:{lost[0].position}",
        "last": f"{lost[-1].epoch}:{lost[-1].position}",
        "events": after.names,
    }
