"""Process managers: what a service does next when something has happened in its own store."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from shared.contracts.event import Event, event_type
from shared.eventstore import EventStore, RecordedEvent, migrate
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.lease import while_leader
from shared.messaging.cloudevents import event_headers, event_subject
from shared.messaging.handling import Consumer, Handling, RetrySettings, patiently
from shared.messaging.lanes import Lanes
from shared.messaging.parking import SCHEMA, Message

IN_FLIGHT = 256
"""How many events are being reacted to at most: the next ones are read when there is room."""
CHECKPOINT_EVERY = 0.25
"""Seconds between two writings of the checkpoint. What lies behind it is reacted to again after a crash."""


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
    """Runs one process on the one replica that holds its lease, from its checkpoint on.

    An event that fails is treated as a consumer's is: tried again, then parked; its stream waits behind it while all
    others flow. Operators see it, retry it or discard it in the same way.
    """

    def __init__(
        self, store: EventStore, process: Process, owner: str = "service", *, retries: RetrySettings | None = None
    ) -> None:
        self.store, self.process, self._owner = store, process, owner
        self._retries = retries or RetrySettings()
        self._types = frozenset(event_type(event) for event in process.events)
        self.handling = Handling(
            store, Consumer(process.name, owner, process.events, process.react), self._retries, store.codec
        )
        self._open: dict[int, None] = {}
        self._read_to = 0

    @property
    def failing(self) -> dict[str, str]:
        """Events that don't go through at the moment, by id, with the last error: what readiness shows."""
        return {each.event_id: each.error for each in self.handling.failing.values()}

    async def run(self) -> None:
        """Runs until cancelled."""
        await patiently(lambda: migrate(self.store.dsn, SCHEMA), self.process.name, self._retries)
        await while_leader(self.store.dsn, f"process:{self.process.name}", self._lead)

    async def _lead(self) -> None:
        await self.handling.recall()
        self._open, self._read_to = {}, await checkpoint(self.store, self.process.name)
        room = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks)
            tasks.create_task(self.handling.resume_parked(lanes))
            tasks.create_task(self._keep_checkpoint())
            async for batch in self.store.tail(self._read_to, limit=500, types=self._types):
                for recorded in batch.events:
                    await room.acquire()
                    self._open[recorded.position] = None
                    lanes.put(recorded.stream_id, partial(self._react, recorded, room))
                self._read_to = batch.position

    async def _react(self, recorded: RecordedEvent, room: asyncio.Semaphore) -> None:
        message = Message(
            str(recorded.event_id),
            event_subject(self._owner, recorded),
            event_headers(self._owner, recorded),
            recorded.data,
            recorded.stream_id,
            recorded.position,
        )
        await self.handling.settle(message)
        del self._open[recorded.position]
        room.release()

    @property
    def _done_to(self) -> int:
        """Up to here everything is done: positions are put in order, so the first open one is the smallest."""
        first = next(iter(self._open), None)
        return self._read_to if first is None else min(self._read_to, first - 1)

    async def _keep_checkpoint(self) -> None:
        kept = 0
        while True:
            await asyncio.sleep(CHECKPOINT_EVERY)
            if self._done_to > kept:
                kept = self._done_to
                await patiently(
                    partial(set_checkpoint, self.store, self.process.name, kept), self.process.name, self._retries
                )

    async def lag(self) -> int:
        """How many positions its checkpoint is behind the store."""
        return max(0, await self.store.head() - await checkpoint(self.store, self.process.name))
