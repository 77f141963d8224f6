"""The appends that wait to be written: bounded in number and bytes, and taken in batches."""

import asyncio
from collections import deque
from uuid import UUID

from shared.eventstore.append_statement import Append

MAX_BATCH_BYTES = 8 * 1024 * 1024


class AppendQueue:
    """First in, first out, except that an append waits for the next batch if this one has its stream or its command.

    Bounded by `max_waiting` appends and `max_bytes`; beyond that, `wait_for_room` waits.
    """

    def __init__(self, *, max_batch: int, max_waiting: int, max_bytes: int) -> None:
        self._max_batch, self._max_waiting, self._max_bytes, self._bytes = max_batch, max_waiting, max_bytes, 0
        self._waiting: deque[Append] = deque()
        self._deferred: list[Append] = []
        """Appends that were taken from `_waiting`, and wait for the next batch."""
        self._arrival, self._room = asyncio.Event(), asyncio.Event()
        self._versions: dict[UUID, int] = {}
        """Lower bounds of streams' versions, from the results of batches; cleared when no append is deferred."""
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, append: Append) -> None:
        """Adds an append; call `wait_for_room` first if the queue `is_full`."""
        self._waiting.append(append)
        self._bytes += append.size
        self._arrival.set()

    @property
    def is_full(self) -> bool:
        """By number or by bytes; an append that is larger than `max_bytes` is accepted by an empty queue."""
        return len(self._waiting) >= self._max_waiting or self._bytes >= self._max_bytes

    async def wait_for_room(self, deadline: float) -> None:
        """Returns when there is room, or when the queue is closed. Raises TimeoutError at the deadline (loop time)."""
        async with asyncio.timeout_at(deadline):
            while self.is_full and not self.is_closed:
                self._room.clear()
                await self._room.wait()

    async def next_batch(self) -> list[Append]:
        """The appends for the next transaction, in order; waits for the first one. It may be empty: call it again.

        It has each stream and each command at most once; a second append to one waits for the next batch. An append
        whose expected version is outdated is always included: it can only fail, so it delays no other.
        """
        if not self._deferred:
            self._versions.clear()
            while not self._waiting:
                self._arrival.clear()
                await self._arrival.wait()
        return self._select(self._take())

    def _take(self) -> list[Append]:
        """The deferred appends, and as many of the waiting ones as one batch may have."""
        appends, self._deferred = self._deferred, []
        size = sum(append.size for append in appends)
        while self._waiting and len(appends) < self._max_batch and size < MAX_BATCH_BYTES:
            append = self._waiting.popleft()
            appends.append(append)
            size += append.size
            self._bytes -= append.size
        self._room.set()
        return appends

    def _select(self, appends: list[Append]) -> list[Append]:
        batch: list[Append] = []
        used: set[UUID] = set()
        for append in appends:
            if append.done.done():
                continue
            ids = [append.key]
            is_outdated = False
            for stream, expected, _ in append.streams:
                ids.append(stream)
                is_outdated = is_outdated or expected < self._versions.get(stream, 0)
            if is_outdated or used.isdisjoint(ids):
                batch.append(append)
            else:
                self._deferred.append(append)
            if not is_outdated:
                used.update(ids)
        return batch

    def note_version(self, stream: UUID, version: int) -> None:
        """Notes the version of a stream after a batch, by which outdated appends are recognised."""
        self._versions[stream] = version

    def close(self) -> list[Append]:
        """Closes the queue and returns the appends in it; `wait_for_room` returns to its callers."""
        self.is_closed = True
        appends, self._deferred = self._deferred, []
        appends += self._waiting
        self._waiting.clear()
        self._bytes = 0
        self._room.set()
        return appends
