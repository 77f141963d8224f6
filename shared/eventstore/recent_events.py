"""The last events of the store's sequence, read once for all followers of a process: projector, relay and processes.

A follower requests the events after its position and gets those in memory, without waiting for other followers. If
there are none, one query reads the next ones for all followers that wait. An event is decoded once, when the first
follower needs it decoded. A follower that is behind the events in memory reads by itself.

What this process appends need not be read at all, as long as no other process appends in between: the writer knows
which event precedes its own (`recorded`).

Each query also reads the last event in memory again. If that one is gone or differs, the store went back: then all are
dropped, and each follower reads by itself, which detects the same.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

from shared.eventstore.append_statement import Row
from shared.eventstore.epochs import Epochs
from shared.eventstore.records import RecordedEvent, UndecodedEvent
from shared.eventstore.watermarks import FALLBACK, HEAD_WATERMARK, Watermarks

MAX_EVENTS = 2_048
MAX_BYTES = 8 * 1024 * 1024
"""Bounds of the events in memory; the oldest are dropped first."""
PAGE, PAGE_BYTES = 1_000, 2 * 1024 * 1024
"""Bounds of one query. They are lower than those above, so that no event is dropped before its follower gets it."""
MAX_PAGES_TO_REACH = 3
"""Pages that are read to reach a follower ahead of the events in memory; after that, memory starts at the follower."""
FRESH = FALLBACK / 2
"""Seconds for which a query's result is used: followers that poll at intervals share one query."""


class HeldEvent:
    """An event in memory. It is decoded once, when first asked for."""

    __slots__ = ("_decode", "_make_undecoded", "_recorded", "_undecoded", "event_id", "position", "size", "type")

    def __init__(
        self, row: Row, decode: Callable[[Row], RecordedEvent], undecoded: Callable[[Row], UndecodedEvent]
    ) -> None:
        self.position, self.event_id, self.type = int(row[0]), row[1], str(row[4])
        self.size = len(row[5]) + len(row[6])
        """Bytes of data and metadata."""
        self._decode, self._make_undecoded = partial(decode, row), partial(undecoded, row)
        self._recorded: RecordedEvent | None = None
        self._undecoded: UndecodedEvent | None = None

    def recorded(self) -> RecordedEvent:
        """The decoded event. Raises one of UNREADABLE."""
        if self._recorded is None:
            self._recorded = self._decode()
        return self._recorded

    def undecoded(self) -> UndecodedEvent:
        """The event as it is stored. Raises UnknownEventType for a type of which this release has no version."""
        if self._undecoded is None:
            self._undecoded = self._make_undecoded()
        return self._undecoded


class RecentEvents:
    """The events in memory; one per store."""

    def __init__(
        self,
        page: Callable[[int, int], Awaitable[tuple[list[Row], bool]]],
        hold: Callable[[Row], HeldEvent],
        watermarks: Watermarks,
        epochs: Epochs,
    ) -> None:
        """`page(after, limit)` reads a page, and also returns whether it ended early because of its size."""
        self._page, self._hold, self._watermarks, self._epochs = page, hold, watermarks, epochs
        self._events: list[HeldEvent] = []
        self._start: tuple[int, UUID | None] | None = None
        """Position and id (None if unknown) of the event before the first one in memory; None while unused."""
        self._bytes = 0
        self._checked_at = float("-inf")
        """When PostgreSQL was last queried, in the event loop's time."""
        self._reading: asyncio.Task[None] | None = None
        epochs.on_epoch(lambda _: self.clear())

    @property
    def events(self) -> Sequence[HeldEvent]:
        """Those in memory, oldest first."""
        return self._events

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """The running query; stop it when the store is closed."""
        return [self._reading] if self._reading else []

    async def after(self, position: int, limit: int, event_id: UUID | None = None) -> list[HeldEvent] | None:
        """Up to `limit` events after `position`: the first of those that were committed before the call.

        None when the follower must read by itself: it is behind the events in memory, or the event at `position` is not
        the one with `event_id` (if that is given). Raises StoreUnavailable.
        """
        await self._reach(position)
        if self._start is None or position > self._end[0]:
            self._begin(position, event_id)
        began_after_call = False
        while True:
            events = self._events_after(position, event_id)
            if events is None:
                return None
            if self._is_fresh(is_empty=not events):
                return events[:limit]
            began_after_call = began_after_call or self._reading is None
            await self._read_on()
            events = self._events_after(position, event_id)
            if events is None or events or began_after_call:
                return events if events is None else events[:limit]
            began_after_call = True  # the query may have begun before this call; the next one does not

    def recorded(self, before: tuple[int, UUID], rows: Sequence[Row]) -> None:
        """Adds events that this process has appended directly after the event `before`, if that one is the last here.

        The append read `before` under the append lock, so PostgreSQL need not be queried either.
        """
        if self._start is None or self._end != before:
            return
        self._checked_at = asyncio.get_running_loop().time()
        self._add(rows)

    async def _reach(self, position: int) -> None:
        """Reads on to a follower that was behind, has read by itself, and is now ahead of the events in memory."""
        for _ in range(MAX_PAGES_TO_REACH):
            is_in_use = asyncio.get_running_loop().time() - self._checked_at < FALLBACK
            if not is_in_use or self._start is None or position <= self._end[0]:
                return
            await self._read_on()

    async def _read_on(self) -> None:
        """Waits for one query, which all callers share."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._read_ended)
        await asyncio.shield(self._reading)

    def clear(self) -> None:
        """Drops all events."""
        self._events, self._start, self._bytes = [], None, 0
        self._checked_at = float("-inf")

    @property
    def _end(self) -> tuple[int, UUID | None]:
        """Position and id of the last event in memory, or of the event before the first one that will be."""
        if self._events:
            return self._events[-1].position, self._events[-1].event_id
        assert self._start is not None, "called while memory is in use"
        return self._start

    def _begin(self, position: int, event_id: UUID | None) -> None:
        """Drops the events and starts at this position, of a follower too far ahead to be reached by reading on."""
        self.clear()
        self._start = position, event_id

    def _events_after(self, position: int, event_id: UUID | None) -> list[HeldEvent] | None:
        if self._start is None or not self._start[0] <= position <= self._end[0]:
            return None
        place = bisect_right(self._events, position, key=_position)
        if event_id is not None:
            before = self._events[place - 1] if place else None
            previous = (before.position, before.event_id) if before else self._start
            if previous != (position, event_id):
                return None
        return self._events[place:]

    def _is_fresh(self, *, is_empty: bool) -> bool:
        """Whether the last query is recent enough. If there are no events, it is not while the watermark is higher."""
        if is_empty and self._watermarks.value(HEAD_WATERMARK) > self._end[0]:
            return False
        return asyncio.get_running_loop().time() - self._checked_at < FRESH

    async def _read(self) -> None:
        """Reads on after the last event in memory, and that one again."""
        generation, began, end = self._epochs.generation, asyncio.get_running_loop().time(), self._end
        position, event_id = end
        if event_id is None:
            rows, _ = await self._page(position, PAGE)
        else:
            rows, is_cut = await self._page(position - 1, PAGE + 1)
            is_same = bool(rows) and (rows[0][0], rows[0][1]) == end
            if not is_same:
                self.clear()
                return
            rows = rows[1:]
            if not rows and is_cut:  # the event that was read again is as large as a page
                rows, _ = await self._page(position, PAGE)
        if self._start is None or self._end != end:
            return  # dropped meanwhile
        if generation != self._epochs.generation:
            self.clear()
            return
        self._checked_at = began
        self._add(rows)

    def _add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            event = self._hold(row)
            self._events.append(event)
            self._bytes += event.size
        self._trim()

    def _trim(self) -> None:
        dropped = max(0, len(self._events) - MAX_EVENTS)
        size = sum([event.size for event in self._events[:dropped]])
        while self._bytes - size > MAX_BYTES and dropped < len(self._events) - 1:
            size += self._events[dropped].size
            dropped += 1
        if dropped:
            last = self._events[dropped - 1]
            self._start = last.position, last.event_id
            self._bytes -= size
            del self._events[:dropped]

    def _read_ended(self, reading: "asyncio.Task[None]") -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # marks it as retrieved: perhaps nobody waits any more


def _position(event: HeldEvent) -> int:
    return event.position
