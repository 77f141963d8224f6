"""How far a service's history, its read tables and its consumers have come, for `shared.http.positions`."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.contracts.problem import Detail, invalid
from shared.eventstore import EventStore
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.http.positions import HEADER, WAIT_SECONDS, Position
from shared.messaging.arrivals import BEFORE_FIRST, Arrivals, EpochPosition
from shared.projections import Projector


@dataclass
class ServiceHistory:
    service: str
    store: EventStore
    projector: Projector
    arrivals: Arrivals
    _shown: dict[str, EpochPosition] = field(default_factory=dict)
    """By service, up to where its events are known to be shown here."""
    _answered: tuple[int, int] = (0, 0)
    """The generation of the store, and the highest position with which this process has answered a write in it."""

    def position(self, number: int) -> Position:
        """See `History.position`."""
        return Position(self.service, self.store.epochs.of(number), number)

    async def wait_until_shown(self, position: Position, within: float) -> bool:
        """As `History.wait_until_shown`; a position that a restore took back counts as shown.

        Raises VALIDATION_FAILED for a position that was never recorded.
        """
        if position.epoch < self.store.epochs.of(position.number):
            return True  # a restore has removed it, so no event will come
        if await self.projector.caught_up(position.number, within, despite_failed=True):
            return True
        # Checked after the wait, by which a restore of the store was detected if there was one.
        await self._refuse_beyond(position)
        return False

    async def _refuse_beyond(self, position: Position) -> None:
        if position.number > await self.store.head():
            message = "is a position that was never recorded here"
            raise invalid(f"{HEADER} {message}", Detail(f"header:{HEADER}", message))

    async def wait_until_recorded(self, position: Position) -> bool:
        """As `History.wait_until_recorded`; returns False after WAIT_SECONDS."""
        if position.number <= self.store.watermarks.value(HEAD_WATERMARK):
            return True
        return await self.wait_until_shown(position, WAIT_SECONDS)

    def note_answer(self, number: int) -> None:
        """See `History.note_answer`."""
        self._answered = (self.store.epochs.generation, max(number, self._last_answered))

    @property
    def _last_answered(self) -> int:
        """0 for what was answered before the store went back."""
        generation, number = self._answered
        return number if generation == self.store.epochs.generation else 0

    async def wait_for_answers(self, within: float) -> bool:
        """See `History.wait_for_answers`."""
        return await self.projector.caught_up(self._last_answered, within, despite_failed=True)

    async def wait_until_arrived(self, position: Position, within: float) -> bool:
        """See `History.wait_until_arrived`: consumers have handled the events, and tables show the results."""
        place = (position.epoch, position.number)
        if self._shown.get(position.service, BEFORE_FIRST) >= place:
            return True
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        if not await self.arrivals.wait(position.service, place, within):
            return False
        if not await self._shows_all(max(until - loop.time(), 0.1)):
            return False
        self._shown[position.service] = max(self._shown.get(position.service, BEFORE_FIRST), place)
        return True

    async def first_behind(self, services: Iterable[str], within: float) -> str | None:
        """See `History.first_behind`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        for service in sorted(services):
            if not await self.arrivals.wait_for_now(service, max(until - loop.time(), 0)):
                return service
        return None if await self._shows_all(max(until - loop.time(), 0.1)) else self.service

    async def _shows_all(self, within: float) -> bool:
        return await self.projector.caught_up(await self.store.head(), within, despite_failed=True)
