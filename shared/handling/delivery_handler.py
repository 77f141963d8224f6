"""Settling deliveries: each event is handled, with retries, or parked in the service's database.

The later events of a stream that has a parked event are parked behind it, and handled once it is resolved.
"""

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID

import structlog
from psycopg import AsyncConnection

from shared.eventstore import EventStore, RecordedEvent
from shared.eventstore.lease import Lease
from shared.handling import parking
from shared.handling.attempts import Attempts, Failure
from shared.handling.delivery import Delivery, Malformed
from shared.handling.lanes import Lanes
from shared.handling.parking import Parked
from shared.handling.retry import RetrySettings, retry_database

E = TypeVar("E", bound=RecordedEvent)
T = TypeVar("T")

log = structlog.get_logger()


class DeliveryHandler(Generic[E]):
    """Settles the deliveries of one consumer or process, on the replica that holds its lease.

    `read_parked` returns the event of a parked row, or None if its type is no longer handled; it raises Malformed.
    """

    def __init__(
        self,
        store: EventStore,
        name: str,
        handle: Callable[[E], Awaitable[None]],
        read_parked: Callable[[Parked], Awaitable[E | None]],
        settings: RetrySettings,
    ) -> None:
        self.store, self.name, self.settings = store, name, settings
        self.attempts = Attempts(name, handle, settings)
        self._read_parked = read_parked
        self._blocked = set[UUID]()
        """Streams with unresolved parked events."""
        self._parked_up_to = 0
        """The highest position that was ever parked: no later event can have been parked before."""
        self._resuming: set[Hashable] = set()
        self.lease: Lease | None = None
        """Fences every transaction: nothing is recorded once another replica holds the lease."""

    async def load(self) -> None:
        """Reads from the database what is parked; call it when the lease is acquired."""
        self._resuming = set()
        self.attempts.failing.clear()
        self._blocked = await self.database(partial(parking.blocked_streams, consumer=self.name))
        self._parked_up_to = await self.database(partial(parking.highest_position, consumer=self.name))

    def note(self, delivery: Delivery[E], note: Callable[[E], bool]) -> bool:
        """Lets `note` take a delivery at once; False if it is to be settled: it may be parked, or `note` did not.

        An error of `note` is raised again when the delivery is settled, and is handled there.
        """
        if delivery.position is None or delivery.position <= self._parked_up_to or delivery.stream_id in self._blocked:
            return False
        try:
            recorded = delivery.read()
            is_taken = recorded is not None and note(recorded)
        except Exception:  # noqa: BLE001 - see the docstring
            return False
        self.attempts.handled += is_taken
        return is_taken

    async def settle(self, delivery: Delivery[E], rejection: str | None = None) -> None:
        """Handles a delivery, or parks it. With a `rejection`, the reason, it is parked without being handled.

        Idempotent: an event that was parked before is not handled again; its parked row decides what happens to it.
        """
        if rejection:
            await self._park(delivery, "parked", Failure(rejection, 0))
            return
        if delivery.is_late and await self._replace_placeholder(delivery):
            return
        if await self._was_parked(delivery):
            return
        if delivery.stream_id is not None and delivery.stream_id in self._blocked:
            if await self._park(delivery, "waiting", None):
                return
            self._blocked.discard(delivery.stream_id)
        try:
            recorded = delivery.read()
        except Malformed as error:
            failure: Failure | None = Failure(str(error), 0)
        else:
            failure = await self.attempts.run(recorded) if recorded is not None else None
        if failure:
            await self._park(delivery, "parked", failure)

    async def _replace_placeholder(self, delivery: Delivery[E]) -> bool:
        message = delivery.to_message()
        return await self.database(partial(parking.replace_placeholder, consumer=self.name, message=message))

    async def _was_parked(self, delivery: Delivery[E]) -> bool:
        if delivery.position is not None and delivery.position > self._parked_up_to:
            return False
        return await self.database(partial(parking.was_parked, consumer=self.name, message_id=delivery.message_id))

    async def _park(self, delivery: Delivery[E], status: str, failure: Failure | None) -> bool:
        """Returns False for a `waiting` delivery if the parked event before it has been resolved meanwhile."""
        error, attempts = (failure.error, failure.attempts) if failure else (None, 0)
        message = delivery.to_message()
        if not await self.database(
            partial(parking.park, consumer=self.name, message=message, status=status, error=error, attempts=attempts)
        ):
            return False
        if message.stream_id is not None:
            self._blocked.add(message.stream_id)
        self._parked_up_to = max(self._parked_up_to, message.position or 0)
        write = log.error if failure else log.warning
        write("event_parked", consumer=self.name, subject=message.subject, status=status, error=error)
        return True

    # Parked events

    async def resume_parked(self, lanes: Lanes) -> None:
        """Puts parked events whose retry was requested into their streams' lanes, until cancelled."""
        watermarks = self.store.watermarks
        signals = watermarks.value(parking.RETRYING)
        rows = await self.database(partial(parking.runnable, consumer=self.name))
        while True:
            for parked in rows:
                key = parked.stream_id or parked.message_id
                if key not in self._resuming:
                    self._resuming.add(key)
                    lanes.put(key, partial(self._resume, parked))
            await watermarks.wait_beyond(parking.RETRYING, signals, self.settings.look_at_parked_every)
            signals = watermarks.value(parking.RETRYING)
            rows = await self.database(partial(parking.retrying, consumer=self.name))

    async def _resume(self, first: Parked) -> None:
        """Handles a stream's parked events in order, up to the first that needs an operator."""
        key = first.stream_id or first.message_id
        while True:
            self._resuming.discard(
                key
            )  # before reading, so that a retry that is requested later is put into the lane again
            parked = await self._next(first)
            if parked is None or parked.status not in {"waiting", "retrying"}:
                break
            self._resuming.add(key)
            failure = await self._handle_parked(parked)
            await self.database(partial(_record_outcome, parked, failure))
        if parked is None and first.stream_id is not None:
            self._blocked.discard(first.stream_id)

    async def _next(self, first: Parked) -> Parked | None:
        if first.stream_id is None:
            return await self.database(partial(parking.find, parked_id=first.id))
        return await self.database(partial(parking.first_unresolved, consumer=self.name, stream_id=first.stream_id))

    async def _handle_parked(self, parked: Parked) -> Failure | None:
        try:
            recorded = await self._read_parked(parked)
        except Malformed as error:
            return Failure(str(error), 0)
        return await self.attempts.run(recorded) if recorded is not None else None

    async def database(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `work` in a fenced transaction, and repeats it while PostgreSQL is unreachable. Raises Fenced."""

        async def attempt() -> T:
            async with self.store.pool.connection() as connection, connection.transaction():
                if self.lease:
                    await self.lease.fence(connection)
                return await work(connection)

        return await retry_database(attempt, self.name, self.settings)


async def _record_outcome(parked: Parked, failure: Failure | None, connection: AsyncConnection) -> None:
    if failure:
        await parking.mark_failed(connection, parked, failure.error, max(1, failure.attempts))
    else:
        await parking.mark_handled(connection, parked)
