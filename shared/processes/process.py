"""Process managers: a service reacts to events of its own store with its next commands and messages."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from shared.backoff import Backoff
from shared.contracts.event import Event, event_type
from shared.eventstore import EventStore, RecordedEvent, StoreUnavailable, UndecodedEvent
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.epochs import WentBack
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import migrate
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.handling import parking
from shared.handling.delivery_handler import DeliveryHandler
from shared.handling.in_flight import InFlight
from shared.handling.parking import SCHEMA
from shared.handling.retry import RetrySettings, retry_database
from shared.handling.window import Window
from shared.processes.local_event import LocalEvent, decode, read_parked
from shared.progress import Progress
from shared.stopping import Group

IN_FLIGHT = 256
"""Events that may be in flight; more are read when there is room."""
IN_FLIGHT_BYTES = 32 * 1024 * 1024
PAGE = 500
"""Events that are read at once."""
REREAD_PAUSE = 0.05
"""Seconds before the store is read again, when it had no event although its watermark was higher."""
CHECKPOINT_EVERY = 0.25
"""Seconds between two writes of the checkpoint. After a crash, `react` is called again for the events after it."""
CHECKPOINT_SELDOM = 5.0
"""The same while no event was one of the process's types: after a crash, they are only read again."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Process:
    """`react` is called at least once per event, in order per stream, in parallel across streams.

    An effect happens once because its id is derived from the event: commands have `context.caused(event_id, name)`,
    messages an id made of the event's. A new `name` starts from the first event.
    """

    name: str
    events: tuple[type[Event], ...]
    react: Callable[[RecordedEvent], Awaitable[None]]
    lost: Callable[[], Awaitable[None]] | None = None
    """Returns when this replica has lost what `react` needs besides the store; then another replica takes over."""
    begin: Callable[[], Awaitable[None]] | None = None
    """Called when this replica begins to lead, before the first event, to read what `react` keeps in memory."""
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """Loops that run for as long as this replica leads. One that raises ends the leadership."""
    replaces: str | None = None
    """The process of an earlier release at whose checkpoint this one begins, instead of the first event. That
    checkpoint is kept, for an operator who goes back to that release."""
    note: Callable[[RecordedEvent], bool] | None = None
    """Takes an event without waiting, where that only changes what the process has in memory: `react` is not called if
    it returns True. It is called in order per stream with `react`, and spares most of what an event costs."""


class LostDependency(Exception):  # noqa: N818 - what happened
    """This replica has lost what the process needs besides the store."""


class ProcessRunner:
    """Runs one process on the one replica that holds its lease, from its checkpoint on.

    A failing event is retried, then parked, as a consumer's is: the later events of its stream wait, those of other
    streams are handled. Operators list, retry and discard it in the same way.
    """

    def __init__(
        self,
        store: EventStore,
        process: Process,
        owner: str = "service",
        *,
        retries: RetrySettings | None = None,
        instance: str = "",
    ) -> None:
        self.store, self.process, self._owner = store, process, owner
        self._retries = retries or RetrySettings()
        self._types = frozenset(event_type(event) for event in process.events)
        tags = store.codec.stored_tags(self._types)
        self.handler = DeliveryHandler(
            store, process.name, process.react, partial(read_parked, store, tags), self._retries
        )
        self._instance = instance or "this replica"
        self._in_flight = self._new_in_flight(Group())
        self._read_to = 0
        self._moved, self._reacted = asyncio.Event(), asyncio.Event()
        """Set when the checkpoint may have moved; the second when that took a call of `react`."""
        self.active = False

    def _new_in_flight(self, tasks: Group) -> InFlight[int]:
        return InFlight(self.handler, tasks, (IN_FLIGHT, IN_FLIGHT_BYTES), self._settled)

    @property
    def window(self) -> Window:
        """How many events, and bytes of them, may be handled at once."""
        return self._in_flight.window

    @property
    def failing(self) -> dict[str, str]:
        """Events that fail at the moment, by id, with the last error: readiness shows them."""
        return {event.event_id: event.error for event in self.handler.attempts.failing.values()}

    async def run(self) -> None:
        """Runs until cancelled."""
        await retry_database(lambda: migrate(self.store.dsn, SCHEMA), self.process.name, self._retries)
        await run_as_leader(self.store, f"process:{self.process.name}", self._lead)

    async def _lead(self, lease: Lease) -> None:
        """Begins from the checkpoint. It starts over when the store went back: each lease is lost then (`lose_all`)."""
        self.handler.lease = lease
        await self.handler.load()
        self._read_to = await self._checkpoint()
        if self.process.begin is not None:
            await self.process.begin()
        self.active = True
        try:
            async with Group() as tasks:
                self._in_flight = self._new_in_flight(tasks)
                tasks.create_task(self.handler.resume_parked(self._in_flight.lanes))
                tasks.create_task(self._keep_checkpoint(lease))
                tasks.create_task(self._give_up())
                for loop in self.process.beside:
                    tasks.create_task(loop())
                await self._follow()
        except* WentBack:  # raised to a loop of `beside`; the lease is lost, too
            log.warning("process_starts_over", process=self.process.name, reason="its store went back")
        except* LostDependency:
            log.warning("process_gives_up", process=self.process.name)
        finally:
            self.active = False

    async def _checkpoint(self) -> int:
        reached = await checkpoint(self.store, self.process.name)
        if not reached and self.process.replaces is not None:
            return await checkpoint(self.store, self.process.replaces)
        return reached

    async def _give_up(self) -> None:
        """Gives the lease up once `lost` returns: another replica may reach what this one can't."""
        if self.process.lost is not None:
            await self.process.lost()
            raise LostDependency

    async def _follow(self) -> None:
        """Takes the store's events in order, when there is room."""
        backoff = Backoff(f"process {self.process.name}", on=(StoreUnavailable,))
        while True:
            events, read_to = await backoff.call(self._read)
            for event in events:
                if self._is_noted(event):
                    self._reacted.set()
                    continue
                await self.window.wait_for_room()
                self._in_flight.take(event, len(event.event.data), event.position - 1)
            if read_to > self._read_to:
                self._read_to = read_to
                self._moved.set()
            elif self.store.watermarks.value(HEAD_WATERMARK) > read_to:
                await asyncio.sleep(REREAD_PAUSE)  # the watermark is from before the store went back
            else:
                await self.store.watermarks.wait_beyond(HEAD_WATERMARK, read_to)

    def _is_noted(self, event: LocalEvent) -> bool:
        """Whether the process has taken the event at once, with no earlier one of its stream in flight."""
        note = self.process.note
        is_busy = self._in_flight.lanes.is_busy(event.stream_id)
        return note is not None and not is_busy and self.handler.note(event, note)

    async def _read(self) -> tuple[list[LocalEvent], int]:
        """The next events, undecoded, so that one that can't be decoded stops only its own stream; and where they end.

        Events that other followers of this process read, too, are decoded once for all of them.
        """
        recent = await self.store.follow_held(self._read_to, PAGE, self._types)
        if recent is not None:
            return [self._local(entry.undecoded(), entry.recorded) for entry in recent.events], recent.position
        batch = await self.store.read_undecoded(self._read_to, PAGE, self._types)
        codec = self.store.codec
        return [self._local(event, partial(decode, codec, event)) for event in batch.events], batch.position

    def _local(self, event: UndecodedEvent, decode_event: Callable[[], RecordedEvent]) -> LocalEvent:
        return LocalEvent(self._owner, event, self.store.epoch_of(event.position), decode_event)

    def _settled(self) -> None:
        self._moved.set()
        self._reacted.set()

    @property
    def _done_to(self) -> int:
        """All events up to here are settled: they are taken in position order."""
        oldest = self._in_flight.oldest
        return self._read_to if oldest is None else min(self._read_to, oldest.floor)

    async def _keep_checkpoint(self, lease: Lease) -> None:
        saved = 0
        while True:
            await self._moved.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECKPOINT_SELDOM):
                    await self._reacted.wait()
            await asyncio.sleep(CHECKPOINT_EVERY)
            self._moved.clear()
            self._reacted.clear()
            if self._done_to > saved:
                saved = self._done_to
                await retry_database(
                    partial(set_checkpoint, self.store, self.process.name, saved, lease),
                    self.process.name,
                    self._retries,
                )

    async def lag(self) -> int:
        """How many positions its checkpoint is behind the store."""
        return max(0, await self.store.head() - await self._checkpoint())

    async def progress(self) -> list[Progress]:
        """On the active replica, what is unfinished; on any, what is parked."""
        async with self.store.pool.connection() as connection:
            parked = sum((await parking.count_unresolved(connection, self.process.name)).values())
            leader = await self.store.leases.leader(f"process:{self.process.name}", connection)
        name = f"process {self.process.name}"
        if not self.active:
            return [Progress(name=name, parked=parked, leader=leader)]
        return [self._in_flight.progress(name, parked=parked, leader=self._instance)]
