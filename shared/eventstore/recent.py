"""The end of the store's sequence, read once for all followers of this process: projector, relay and processes.

A follower asks for the events after its position and gets those that are held, as many as it wants, whenever it wants:
none waits for another. When nothing is held for it, one query reads on for all who ask. An event is decoded when
the first follower needs it decoded, and once. A follower that is behind what is held reads by itself, until it is not.

What this process appends itself need not be read at all, as long as nobody else appends in between: the writer knows
which event was the last one before (`recorded`).

What is held is the store's: each query also reads the last event held, and compares. When that one is gone or another,
the store went back; then nothing is held any more, and followers find out by themselves, as they do without this.
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

MOST_EVENTS = 2_048
MOST_BYTES = 8 * 1024 * 1024
"""Bounds of what is held; the oldest is dropped first."""
PAGE, PAGE_BYTES = 1_000, 2 * 1024 * 1024
"""Bounds of what is read at once, so that what was read for a follower is not dropped before it has it."""
REACHED_IN = 3
"""Pages that are read for a follower that is further than what is held; more are not held."""
FRESH = FALLBACK / 2
"""Seconds for which an answer of PostgreSQL counts: followers that look again at intervals share one query."""


class Entry:
    """An event that was read. It is decoded when the first asks, and once."""

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
        """Raises one of UNREADABLE."""
        if self._recorded is None:
            self._recorded = self._decode()
        return self._recorded

    def undecoded(self) -> UndecodedEvent:
        """Raises UnknownEventType for a type of which this release knows no version."""
        if self._undecoded is None:
            self._undecoded = self._make_undecoded()
        return self._undecoded


class Recent:
    def __init__(
        self,
        rows: Callable[[int, int], Awaitable[tuple[list[Row], bool]]],
        entry: Callable[[Row], Entry],
        watermarks: Watermarks,
        epochs: Epochs,
    ) -> None:
        """`rows(after, limit)` reads a page, and says whether it ended early because of its size."""
        self._rows, self._entry, self._watermarks, self._epochs = rows, entry, watermarks, epochs
        self._entries: list[Entry] = []
        self._start: tuple[int, UUID | None] | None = None
        """Position, and id if it is known, of the event before the first one held; None when nothing is held."""
        self._bytes = 0
        self._checked_at = float("-inf")
        """When PostgreSQL was last asked, in the event loop's time."""
        self._reading: asyncio.Task[None] | None = None
        epochs.on_epoch(lambda _: self.clear())

    @property
    def held(self) -> Sequence[Entry]:
        return self._entries

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        return [self._reading] if self._reading else []

    async def after(self, position: int, limit: int, event_id: UUID | None = None) -> list[Entry] | None:
        """Up to `limit` events after `position`; all that were committed before the call, or a part of these.

        None when the follower must read by itself: it is behind what is held, or the event at `position` is not the one
        with `event_id` (when that is given). Raises StoreUnavailable.
        """
        await self._reach(position)
        if self._start is None or position > self._end[0]:
            self._begin(position, event_id)
        is_later = False
        while True:
            held = self._held(position, event_id)
            if held is None:
                return None
            if self._is_fresh(is_empty=not held):
                return held[:limit]
            is_later = is_later or self._reading is None
            await self._read_on()
            held = self._held(position, event_id)
            if held is None or held or is_later:
                return held if held is None else held[:limit]
            is_later = True  # the query may have begun before this call; the next one has not

    def recorded(self, before: tuple[int, UUID], rows: Sequence[Row]) -> None:
        """This process has recorded these events right behind another one: who holds that one need not read them.

        PostgreSQL has just said so under the lock of appends, so it need not be asked again either.
        """
        if self._start is None or self._end != before:
            return
        self._checked_at = asyncio.get_running_loop().time()
        self._hold(rows)

    async def _reach(self, position: int) -> None:
        """For a follower that was behind, has read by itself, and is further now than what others hold."""
        for _ in range(REACHED_IN):
            is_used = asyncio.get_running_loop().time() - self._checked_at < FALLBACK
            if not is_used or self._start is None or position <= self._end[0]:
                return
            await self._read_on()

    async def _read_on(self) -> None:
        """One query, whoever asks meanwhile."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._read_ended)
        await asyncio.shield(self._reading)

    def clear(self) -> None:
        self._entries, self._start, self._bytes = [], None, 0
        self._checked_at = float("-inf")

    @property
    def _end(self) -> tuple[int, UUID | None]:
        """Position and id of the last event held, or of the one before the first that will be."""
        if self._entries:
            return self._entries[-1].position, self._entries[-1].event_id
        assert self._start is not None, "something is held"
        return self._start

    def _begin(self, position: int, event_id: UUID | None) -> None:
        """Nobody holds the follower up that is furthest: what is held begins behind it."""
        self.clear()
        self._start = position, event_id

    def _held(self, position: int, event_id: UUID | None) -> list[Entry] | None:
        if self._start is None or not self._start[0] <= position <= self._end[0]:
            return None
        place = bisect_right(self._entries, position, key=_position)
        if event_id is not None:
            before = self._entries[place - 1] if place else None
            found = (before.position, before.event_id) if before else self._start
            if found != (position, event_id):
                return None
        return self._entries[place:]

    def _is_fresh(self, *, is_empty: bool) -> bool:
        """Whether PostgreSQL need not be asked again. Nothing is no answer while more is known to be recorded."""
        if is_empty and self._watermarks.value(HEAD_WATERMARK) > self._end[0]:
            return False
        return asyncio.get_running_loop().time() - self._checked_at < FRESH

    async def _read(self) -> None:
        """Reads on after the last event held, and that one again."""
        generation, began, end = self._epochs.generation, asyncio.get_running_loop().time(), self._end
        position, event_id = end
        if event_id is None:
            rows, _ = await self._rows(position, PAGE)
        else:
            rows, is_cut = await self._rows(position - 1, PAGE + 1)
            is_same = bool(rows) and (rows[0][0], rows[0][1]) == end
            if not is_same:
                self.clear()
                return
            rows = rows[1:]
            if not rows and is_cut:  # the event that was read again is as large as a page
                rows, _ = await self._rows(position, PAGE)
        if self._start is None or self._end != end:
            return  # dropped meanwhile
        if generation != self._epochs.generation:
            self.clear()
            return
        self._checked_at = began
        self._hold(rows)

    def _hold(self, rows: Sequence[Row]) -> None:
        for row in rows:
            entry = self._entry(row)
            self._entries.append(entry)
            self._bytes += entry.size
        self._trim()

    def _trim(self) -> None:
        dropped = max(0, len(self._entries) - MOST_EVENTS)
        size = sum([entry.size for entry in self._entries[:dropped]])
        while self._bytes - size > MOST_BYTES and dropped < len(self._entries) - 1:
            size += self._entries[dropped].size
            dropped += 1
        if dropped:
            last = self._entries[dropped - 1]
            self._start = last.position, last.event_id
            self._bytes -= size
            del self._entries[:dropped]

    def _read_ended(self, reading: "asyncio.Task[None]") -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # whoever waits gets it; perhaps nobody does


def _position(entry: Entry) -> int:
    return entry.position
