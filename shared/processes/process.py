"""Process managers: what a service does next when something has happened in its own store."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import groupby

import structlog

from shared.contracts.event import Event, event_type
from shared.eventstore import EventStore, RecordedEvent
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.lease import while_leader

log = structlog.get_logger()


@dataclass(frozen=True)
class Process:
    """`react` is called at least once per event, in order per stream, in parallel across streams.

    What it does is made to happen once by its keys: commands under `context.caused(event_id, name)`, messages under an
    id of the event's. A new `name` starts from the beginning of history.
    """

    name: str
    events: tuple[type[Event], ...]
    react: Callable[[RecordedEvent], Awaitable[None]]


class ProcessRunner:
    """Runs one process on the one replica that holds its lease, from its checkpoint on."""

    def __init__(self, store: EventStore, process: Process, *, parallel: int = 64, longest_pause: float = 30.0) -> None:
        self.store, self.process = store, process
        self._parallel, self._longest_pause = parallel, longest_pause
        self._types = frozenset(event_type(event) for event in process.events)
        self.failing: dict[str, str] = {}
        """Events that don't go through, by `<stream>@<version>`, with the last error: what readiness shows."""

    async def run(self) -> None:
        """Runs until cancelled."""
        await while_leader(self.store.dsn, f"process:{self.process.name}", self._lead)

    async def _lead(self) -> None:
        position = await checkpoint(self.store, self.process.name)
        async for batch in self.store.tail(position, limit=500, types=self._types):
            slots = asyncio.Semaphore(self._parallel)
            in_order = sorted(batch.events, key=lambda event: (event.stream_id, event.version))
            async with asyncio.TaskGroup() as tasks:
                for _, events in groupby(in_order, key=lambda event: event.stream_id):
                    tasks.create_task(self._stream(slots, list(events)))
            await set_checkpoint(self.store, self.process.name, batch.position)

    async def _stream(self, slots: asyncio.Semaphore, events: list[RecordedEvent]) -> None:
        for event in events:
            pause = 0.05
            while True:
                try:
                    async with slots:
                        await self.process.react(event)
                    break
                except Exception as error:  # noqa: BLE001 - whatever it is, the event must not be lost
                    self.failing[f"{event.stream_id}@{event.version}"] = repr(error)
                    log.warning(
                        "process_retries", process=self.process.name, position=event.position, error=repr(error)
                    )
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, self._longest_pause)
            self.failing.pop(f"{event.stream_id}@{event.version}", None)

    async def lag(self) -> int:
        """How many positions its checkpoint is behind the store."""
        return max(0, await self.store.head() - await checkpoint(self.store, self.process.name))
