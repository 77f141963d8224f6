"""Deliveries in flight: those that were taken and are not settled yet."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Generic, TypeVar

from shared.handling.delivery import Delivery
from shared.handling.delivery_handler import DeliveryHandler
from shared.handling.lanes import Lanes
from shared.handling.window import Window
from shared.progress import Progress
from shared.stopping import Group

F = TypeVar("F")
"""A position in the history that is followed."""


@dataclass(eq=False, slots=True)
class DeliveryInFlight(Generic[F]):
    """A delivery in flight; `since` is the event loop's time."""

    delivery: Delivery[Any]
    floor: F
    """The position before this delivery: all events up to it are settled once this delivery is the oldest."""
    since: float

    def __str__(self) -> str:
        return f"{self.delivery.type or 'a message'} {self.delivery.message_id} at {self.delivery.position}"


class InFlight(Generic[F]):
    """The deliveries in flight while this replica leads: in order per stream, bounded by `window` (number and bytes).

    `on_settled` is called after each delivery. `tasks` is the group in which they are handled.
    """

    def __init__(
        self,
        handler: DeliveryHandler[Any],
        tasks: Group,
        window: tuple[int, int],
        on_settled: Callable[[], None],
    ) -> None:
        self._handler, self._on_settled = handler, on_settled
        self.lanes = Lanes(tasks)
        self.window = Window(*window, self._stalled)
        self._deliveries: dict[int, DeliveryInFlight[F]] = {}
        self._numbers = count()
        handler.attempts.on_failing_changed = self.window.changed

    def __len__(self) -> int:
        return len(self._deliveries)

    @property
    def oldest(self) -> DeliveryInFlight[F] | None:
        """The one taken first of those not settled yet."""
        return next(iter(self._deliveries.values()), None)

    def take(self, delivery: Delivery[Any], size: int, floor: F, rejection: str | None = None) -> None:
        """Takes a delivery of `size` bytes; deliveries must be taken in the order of history."""
        number = next(self._numbers)
        self._deliveries[number] = DeliveryInFlight(delivery, floor, asyncio.get_running_loop().time())
        self.window.take(size)
        key = delivery.stream_id or delivery.message_id
        self.lanes.put(key, partial(self._settle, number, delivery, size, rejection))

    async def _settle(self, number: int, delivery: Delivery[Any], size: int, rejection: str | None) -> None:
        await self._handler.settle(delivery, rejection)
        del self._deliveries[number]
        self.window.give_back(size)
        self._on_settled()

    def _stalled(self) -> int:
        """The number of deliveries that wait for a retry, or behind one that does."""
        return sum(1 + self.lanes.waiting(event.key) for event in self._handler.attempts.failing.values())

    def progress(self, name: str, *, parked: int, leader: str) -> Progress:
        """For readiness, under the follower's `name`: how many wait, since when, and the error of one that fails."""
        now = asyncio.get_running_loop().time()
        oldest = self.oldest
        failing = next(iter(self._handler.attempts.failing.values()), None)
        since = [entry.since for entry in (oldest, failing) if entry]
        return Progress(
            name=name,
            waiting=len(self),
            waiting_seconds=now - min(since, default=now),
            event=str(failing or oldest) if failing or oldest else None,
            error=failing.error if failing else None,
            parked=parked,
            leader=leader,
        )
