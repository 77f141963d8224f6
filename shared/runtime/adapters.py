"""Followers that know their lag, told as progress, until they tell it themselves."""

import time
from collections.abc import Sequence
from typing import Any

from shared.progress import Follower, Progress


class Adapted:
    """By what `lag()` says; where that has no seconds, by how long nothing has been done."""

    def __init__(self, name: str, lagging: Any) -> None:
        self._name, self._lagging = name, lagging
        self._seen, self._since = 0, time.monotonic()

    async def progress(self) -> list[Progress]:
        lag = await self._lagging.lag()
        lags: Sequence[Any] = lag if isinstance(lag, list) else [lag]
        return [self._told(each) for each in lags]

    def _told(self, lag: Any) -> Progress:
        if isinstance(lag, int):
            failing = next(iter(self._lagging.failing.items()), (None, None))
            return self._counted(lag, event=failing[0], error=failing[1])
        if hasattr(lag, "parked"):
            return self._counted(lag.pending, parked=lag.parked + lag.waiting)
        name = f"projection {lag.name}" if hasattr(lag, "name") else self._name
        return Progress(name=name, waiting=lag.events, waiting_seconds=lag.seconds)

    def _counted(
        self, waiting: int, *, event: str | None = None, error: str | None = None, parked: int = 0
    ) -> Progress:
        if not waiting or waiting < self._seen:
            self._since = time.monotonic()
        self._seen = waiting
        seconds = time.monotonic() - self._since
        return Progress(
            name=self._name, waiting=waiting, waiting_seconds=seconds, event=event, error=error, parked=parked
        )


def as_follower(name: str, something: Any) -> Follower:
    known: Follower = something if hasattr(something, "progress") else Adapted(name, something)
    return known
