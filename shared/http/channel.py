"""A channel: one stream of server-sent events for many subscribers, whose newest frames are kept once.

A frame holds the bytes that are sent, made once for all subscribers. Frames with an id are recorded elsewhere: the
channel keeps the newest of them, all those after its `floor`, and a subscriber that is further behind reads the record.
Frames without an id are transient: only current subscribers get them, and of each key only the newest.

Followers are woken in rounds. Each round wakes a batch at a time, so that other requests get their turn, and the more
subscribers there are, the longer is the pause to the next round, in which frames collect. This bounds the cost of many
subscribers, however many frames there are. The last frame is delivered without a pause.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import msgspec

from shared.contracts.sizes import KIB

MAX_FRAMES = 500
"""Frames that a channel keeps, for those with an id and for transient ones each."""
BYTES_PER_SUBSCRIBER, MAX_BYTES = 32 * KIB, 512 * KIB
"""Bytes of frames with an id that are kept for each subscriber, and at most. The newest frame is always kept."""
SWEEP_INTERVAL = 32
"""Frames after which transient ones that all subscribers have taken are dropped."""
WAKE_BATCH = 50
"""Followers that are woken in one turn of the event loop."""
PAUSE_PER_SUBSCRIBER = 100e-6
"""Seconds between two rounds, for each subscriber: a few times what sending to one takes."""
MIN_PAUSE = 1e-3
"""Seconds; a round that is due sooner begins at once."""


class Frame(msgspec.Struct, frozen=True):
    """A part of the stream. `id` is the id after which a client continues, None for a transient frame."""

    id: int | None
    encoded: bytes
    is_last: bool = False


F = TypeVar("F", bound=Frame)


class Subscriber:
    """How far one subscriber has come: the id of the last frame taken, and the count of frames added by then."""

    __slots__ = ("added", "after")

    def __init__(self, after: int, added: int) -> None:
        self.after, self.added = after, added


class Channel(Generic[F]):
    """`floor`: all frames with a greater id are in the channel; None while that is not known for any id."""

    def __init__(self, floor: int | None) -> None:
        self.floor = floor
        self.kept_bytes = 0
        self.is_closed = False
        self.error: BaseException | None = None
        """What ended the stream early, if the channel is closed."""
        self._frames: list[F] = []
        self._ids: list[int] = []
        self._transient: dict[Hashable, tuple[int, F]] = {}
        self._added = 0
        self._max_taken = 0
        """The greatest id that any subscriber has taken."""
        self._subscribers: set[Subscriber] = set()
        self._room: asyncio.Future[None] | None = None
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._next_round: asyncio.TimerHandle | None = None
        self._last_round = 0.0

    @property
    def newest(self) -> int:
        """The greatest id in the channel, 0 if there is none."""
        return self._ids[-1] if self._ids else 0

    @property
    def added(self) -> int:
        """How many frames were added so far."""
        return self._added

    @property
    def subscribers(self) -> int:
        """How many subscribers there are now."""
        return len(self._subscribers)

    @contextmanager
    def subscribe(self, after: int) -> Iterator[Subscriber]:
        """A subscriber, until the block ends, to the frames with ids greater than `after` and to new transient ones."""
        subscriber = Subscriber(after, self._added)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def reaches(self, after: int) -> bool:
        """Whether all frames after this id are in the channel."""
        return self.floor is not None and after >= self.floor

    def add(self, frame: F, key: Hashable = None) -> None:
        """Adds a frame at the end. A transient one replaces that of the same key."""
        self._added += 1
        if frame.id is None:
            self._transient.pop(key, None)
            self._transient[key] = (self._added, frame)
            self._drop_transient()
        else:
            self._frames.append(frame)
            self._ids.append(frame.id)
            self.kept_bytes += len(frame.encoded)
            self._evict()
        self._wake(at_once=frame.is_last)

    def add_before(self, after: int, frames: list[F]) -> None:
        """Adds recorded frames from after the id `after` up to the floor, if there is room, and lowers the floor."""
        assert self.floor is not None
        older = [frame for frame in frames if frame.id is not None and frame.id <= self.floor]
        size = sum(len(frame.encoded) for frame in older)
        if after < self.floor and not self._exceeds_bounds(size, len(older)):
            self._frames[:0] = older
            self._ids[:0] = [frame.id for frame in older if frame.id is not None]
            self.kept_bytes += size
            self.floor = after

    def reset(self, floor: int | None) -> None:
        """Drops all frames with an id, and sets the floor for those to come."""
        self._frames.clear()
        self._ids.clear()
        self.kept_bytes = 0
        self.floor = floor
        self._wake()

    def close(self, error: BaseException | None = None) -> None:
        """No more frames will be added."""
        self.is_closed, self.error = True, error
        self._wake(at_once=True)

    def take(self, subscriber: Subscriber) -> list[F]:
        """The frames that are new to a subscriber, in order. The channel must reach its `after`."""
        frames = self._frames[bisect_right(self._ids, subscriber.after) :]
        transient = []
        for added, frame in reversed(self._transient.values()):
            if added <= subscriber.added:
                break
            transient.append(frame)
        subscriber.added = self._added
        if frames:
            subscriber.after = self._ids[-1]
        self._max_taken = max(self._max_taken, subscriber.after)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return [*frames, *reversed(transient)]

    async def wait(self, subscriber: Subscriber) -> None:
        """Waits for the next round in which there is something for the subscriber to take."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        if self.is_closed or subscriber.added < self._added:
            self._wake(at_once=self.is_closed or self._has_last)
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def wait_for_room(self, frame: F) -> None:
        """If adding the frame would drop others, waits until a subscriber has taken every frame with an id."""
        while self._ids and self._ids[-1] > self._max_taken and self._exceeds_bounds(len(frame.encoded), 1):
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    @property
    def _byte_limit(self) -> int:
        return min(MAX_BYTES, BYTES_PER_SUBSCRIBER * max(len(self._subscribers), 1))

    @property
    def _has_last(self) -> bool:
        return bool(self._frames) and self._frames[-1].is_last

    def _exceeds_bounds(self, more_bytes: int, more_frames: int) -> bool:
        return self.kept_bytes + more_bytes > self._byte_limit or len(self._frames) + more_frames > MAX_FRAMES

    def _drop_transient(self) -> None:
        if self._added % SWEEP_INTERVAL == 0:
            taken_by_all = min((subscriber.added for subscriber in self._subscribers), default=self._added)
            for key in [key for key, (added, _) in self._transient.items() if added <= taken_by_all]:
                del self._transient[key]
        if len(self._transient) > MAX_FRAMES:
            del self._transient[next(iter(self._transient))]

    def _evict(self) -> None:
        drop = 0
        while len(self._frames) - drop > 1 and self._exceeds_bounds(0, -drop):
            self.kept_bytes -= len(self._frames[drop].encoded)
            drop += 1
        if drop:
            self.floor = self._ids[drop - 1]
            del self._frames[:drop], self._ids[:drop]

    def _wake(self, *, at_once: bool = False) -> None:
        """Begins a round, or schedules one unless that has been done."""
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if self._next_round is not None:
            if not at_once:
                return
            self._next_round.cancel()
        pause = 0.0 if at_once else self._last_round + PAUSE_PER_SUBSCRIBER * len(self._waiting) - loop.time()
        if pause < MIN_PAUSE:
            self._begin_round()
        else:
            self._next_round = loop.call_later(pause, self._begin_round)

    def _begin_round(self) -> None:
        self._next_round = None
        self._last_round = asyncio.get_running_loop().time()
        waiting, self._waiting = self._waiting, {}
        self._wake_batch(deque(waiting))

    def _wake_batch(self, waiting: "deque[asyncio.Future[None]]") -> None:
        for _ in range(min(WAKE_BATCH, len(waiting))):
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if waiting:
            asyncio.get_running_loop().call_soon(self._wake_batch, waiting)
