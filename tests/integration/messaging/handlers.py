"""Handlers for the consumers of tests."""

import asyncio
import random
from collections import defaultdict
from uuid import UUID

from shared.eventstore import EventStore, RecordedEvent
from tests.integration.messaging.support import (
    COUNTER,
    Counted,
)


class Journal:
    """Records the events that it is called with, and the largest number of concurrent calls."""

    def __init__(self, *, pause: float = 0.0) -> None:
        self.numbers: defaultdict[UUID, list[int]] = defaultdict(list)
        self.events: list[RecordedEvent] = []
        self.at_once = self.most_at_once = 0
        self._pause = pause

    async def __call__(self, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Counted)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(random.random() * self._pause)
        self.at_once -= 1
        self.numbers[recorded.stream_id].append(recorded.event.n)
        self.events.append(recorded)

    def __len__(self) -> int:
        return len(self.events)


class Effects:
    """A handler with an effect in its own service's store: a command whose id is derived from the event's."""

    def __init__(self, store: EventStore, name: str = "tests-v1") -> None:
        self.store, self.name = store, name
        self.calls = 0

    async def __call__(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        context = recorded.context.caused(recorded.event_id, self.name)
        await self.store.handle(COUNTER, recorded.stream_id, lambda _: [event], context)
        self.calls += 1

    async def recorded(self) -> dict[UUID, list[int]]:
        numbers: defaultdict[UUID, list[int]] = defaultdict(list)
        for recorded_event in await self.store.read_all(0, 100_000):
            assert isinstance(recorded_event.event, Counted)
            numbers[recorded_event.stream_id].append(recorded_event.event.n)
        return dict(numbers)
