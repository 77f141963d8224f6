"""Processes for tests, and a reaction that records its calls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

from shared.contracts.event import Event
from shared.eventstore import EventStore, RecordedEvent
from shared.handling.retry import RetrySettings
from shared.processes import Process, ProcessRunner
from shared.stopping import stop
from tests.integration.eventstore.tally import Counted

NAME = "mirror-v1"
QUICK = RetrySettings(attempts=3, first_pause=0.005, longest_pause=0.02, look_at_parked_every=0.02)


@contextlib.asynccontextmanager
async def running(
    store: EventStore,
    react: Callable[[RecordedEvent], Awaitable[None]],
    *events: type[Event],
    name: str = NAME,
    lost: Callable[[], Awaitable[None]] | None = None,
    retries: RetrySettings = QUICK,
    **more: Any,
) -> AsyncIterator[ProcessRunner]:
    """Runs a process for the length of a block."""
    runner = ProcessRunner(store, Process(name, events or (Counted,), react, lost, **more), retries=retries)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        died = task.done()
        await stop(task)
        if died:
            task.result()  # says what it died of


class Reaction:
    """Records its events, and raises for those that `fail` selects."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self.fail: Callable[[RecordedEvent], bool] = lambda _: False
        self.failures = 0

    async def __call__(self, recorded: RecordedEvent) -> None:
        if self.fail(recorded):
            self.failures += 1
            raise ValueError("this one does not go through")
        self.events.append(recorded)

    @property
    def positions(self) -> list[int]:
        return [recorded.position for recorded in self.events]

    def of(self, stream: UUID) -> list[int]:
        """Versions of a stream's events, in the order of the calls."""
        return [recorded.version for recorded in self.events if recorded.stream_id == stream]


async def caught_up(runner: ProcessRunner) -> bool:
    return await runner.lag() == 0
