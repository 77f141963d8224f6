"""One stream of server-sent events for many followers: its newest frames are kept once, and a follower is a cursor.

A frame is made once, as the bytes that are sent. Those with an id are recorded somewhere: the channel keeps the newest
of them, all those behind its `floor`, and who is further behind reads them where they are recorded. Those without an id
are told to who is there, the newest of each key.

Followers are woken in rounds: so many at a time that other requests get their turn, and the more there are, the longer
the pause between two rounds, in which frames collect. So the cost of many followers has a bound, whatever the stream
tells; its end is told at once.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import msgspec

from shared.contracts.sizes import KIB

MOST_KEPT = 500
"""Frames that a channel keeps, with an id and without one."""
KEPT_OF_ONE, KEPT_BYTES = 32 * KIB, 512 * KIB
"""Bytes of frames with an id that are kept for each follower, and at most. The newest one is kept in any case."""
PASSING_LOOK = 32
"""After so many frames without an id, those that all followers have taken are dropped."""
AT_ONCE = 50
"""Followers that are woken in one turn of the event loop."""
PAUSE_OF_ONE = 100e-6
"""Seconds between two rounds for each follower: a few times what it takes to send it something."""
SHORTEST_PAUSE = 1e-3


class Frame(msgspec.Struct, frozen=True):
    """A part of the stream as it is sent; `id` is what a client continues behind."""

    id: int | None
    sent: bytes
    is_last: bool = False


F = TypeVar("F", bound=Frame)


class Cursor:
    """How far one follower has come: in ids, and in all that was told."""

    __slots__ = ("after", "heard")

    def __init__(self, after: int, heard: int) -> None:
        self.after, self.heard = after, heard


class Channel(Generic[F]):
    def __init__(self, floor: int | None) -> None:
        self.floor = floor
        """All frames with greater ids that were told are here; None while that is not known of any id."""
        self.kept_bytes = 0
        self.is_over = False
        self.error: BaseException | None = None
        """What the stream broke off with, when it is over."""
        self._frames: list[F] = []
        self._ids: list[int] = []
        self._passing: dict[Hashable, tuple[int, F]] = {}
        self._told = 0
        self._taken = 0
        """The greatest id that some follower has taken."""
        self._cursors: set[Cursor] = set()
        self._room: asyncio.Future[None] | None = None
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._next_round: asyncio.TimerHandle | None = None
        self._last_round = 0.0

    @property
    def newest(self) -> int:
        """The greatest id that was told; 0 before one was."""
        return self._ids[-1] if self._ids else 0

    @property
    def told(self) -> int:
        """How many frames were told."""
        return self._told

    @property
    def followers(self) -> int:
        return len(self._cursors)

    @contextmanager
    def following(self, after: int) -> Iterator[Cursor]:
        """A follower for the length of a block: of what is recorded behind `after`, and of what is said from now on."""
        cursor = Cursor(after, self._told)
        self._cursors.add(cursor)
        try:
            yield cursor
        finally:
            self._cursors.discard(cursor)

    def reaches(self, after: int) -> bool:
        """Whether everything behind an id is here."""
        return self.floor is not None and after >= self.floor

    def add(self, frame: F, key: Hashable = None) -> None:
        """Tells a frame. One without an id replaces that of the same key."""
        self._told += 1
        if frame.id is None:
            self._passing.pop(key, None)
            self._passing[key] = (self._told, frame)
            self._drop_passing()
        else:
            self._frames.append(frame)
            self._ids.append(frame.id)
            self.kept_bytes += len(frame.sent)
            self._evict()
        self._wake(at_once=frame.is_last)

    def add_before(self, after: int, frames: list[F]) -> None:
        """Keeps recorded frames from behind `after` up to the floor, if there is room; it is then at `after`."""
        assert self.floor is not None
        older = [frame for frame in frames if frame.id is not None and frame.id <= self.floor]
        size = sum(len(frame.sent) for frame in older)
        if after < self.floor and not self._is_too_much(size, len(older)):
            self._frames[:0] = older
            self._ids[:0] = [frame.id for frame in older if frame.id is not None]
            self.kept_bytes += size
            self.floor = after

    def start_again(self, floor: int | None) -> None:
        """Forgets everything: what is told from now on is all behind `floor`."""
        self._frames.clear()
        self._ids.clear()
        self.kept_bytes = 0
        self.floor = floor
        self._wake()

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more will be told."""
        self.is_over, self.error = True, error
        self._wake(at_once=True)

    def take(self, cursor: Cursor) -> list[F]:
        """What is new for a follower, in order. Only for one that the channel reaches, or that has read the rest."""
        news = self._frames[bisect_right(self._ids, cursor.after) :]
        passing = []
        for told, frame in reversed(self._passing.values()):
            if told <= cursor.heard:
                break
            passing.append(frame)
        cursor.heard = self._told
        if news:
            cursor.after = self._ids[-1]
        self._taken = max(self._taken, cursor.after)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return [*news, *reversed(passing)]

    async def news(self, cursor: Cursor) -> None:
        """Waits for the next round with something that the follower has not taken."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        if self.is_over or cursor.heard < self._told:
            self._wake(at_once=self.is_over or self._ends)
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def room(self, frame: F) -> None:
        """Waits, where keeping a frame means to drop others, until some follower has taken all that was told."""
        while self._ids and self._ids[-1] > self._taken and self._is_too_much(len(frame.sent), 1):
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    @property
    def _most(self) -> int:
        return min(KEPT_BYTES, KEPT_OF_ONE * max(len(self._cursors), 1))

    @property
    def _ends(self) -> bool:
        return bool(self._frames) and self._frames[-1].is_last

    def _is_too_much(self, more_bytes: int, more: int) -> bool:
        return self.kept_bytes + more_bytes > self._most or len(self._frames) + more > MOST_KEPT

    def _drop_passing(self) -> None:
        if self._told % PASSING_LOOK == 0:
            heard = min((cursor.heard for cursor in self._cursors), default=self._told)
            for key in [key for key, (told, _) in self._passing.items() if told <= heard]:
                del self._passing[key]
        if len(self._passing) > MOST_KEPT:
            del self._passing[next(iter(self._passing))]

    def _evict(self) -> None:
        drop = 0
        while len(self._frames) - drop > 1 and self._is_too_much(0, -drop):
            self.kept_bytes -= len(self._frames[drop].sent)
            drop += 1
        if drop:
            self.floor = self._ids[drop - 1]
            del self._frames[:drop], self._ids[:drop]

    def _wake(self, *, at_once: bool = False) -> None:
        """Sees to it that a round begins."""
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if self._next_round is not None:
            if not at_once:
                return
            self._next_round.cancel()
        pause = 0.0 if at_once else self._last_round + PAUSE_OF_ONE * len(self._waiting) - loop.time()
        if pause < SHORTEST_PAUSE:
            self._begin_round()
        else:
            self._next_round = loop.call_later(pause, self._begin_round)

    def _begin_round(self) -> None:
        self._next_round = None
        self._last_round = asyncio.get_running_loop().time()
        waiting, self._waiting = self._waiting, {}
        self._wake_some(deque(waiting))

    def _wake_some(self, waiting: "deque[asyncio.Future[None]]") -> None:
        for _ in range(min(AT_ONCE, len(waiting))):
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if waiting:
            asyncio.get_running_loop().call_soon(self._wake_some, waiting)
