"""Lanes: work of one key runs in order, work of different keys at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

Work = Callable[[], Awaitable[None]]


class Lanes:
    """A task in the group `tasks` for each key that has work; it ends when all work of its key is done.

    The caller bounds the work in the lanes.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._lanes: dict[Hashable, deque[Work]] = {}

    def put(self, key: Hashable, work: Work) -> None:
        """Runs `work` after all that was put under this key before. An exception of it ends the whole group."""
        lane = self._lanes.get(key)
        if lane is None:
            self._lanes[key] = lane = deque()
            lane.append(work)
            self._tasks.create_task(self._drive(key, lane))
        else:
            lane.append(work)

    def is_busy(self, key: Hashable) -> bool:
        """Whether work of this key waits or runs."""
        return key in self._lanes

    def waiting(self, key: Hashable) -> int:
        """How many wait in a key's lane behind the one that runs."""
        return len(self._lanes.get(key, ()))

    async def _drive(self, key: Hashable, lane: deque[Work]) -> None:
        while lane:
            await lane.popleft()()
        del self._lanes[key]

    def __len__(self) -> int:
        return len(self._lanes)
