"""Handling one message: it is handled, retried, or parked; and parked ones are retried when an operator asks for it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection

from shared.backoff import Backoff
from shared.contracts.event import Event, event_type
from shared.contracts.language import Language, language_of
from shared.eventstore import Codec, EventStore
from shared.eventstore.lease import Lease
from shared.handling import parking
from shared.handling.lanes import Lanes
from shared.handling.parking import Message, Parked
from shared.handling.retry import Failing, Failure, Overdue, RetrySettings, raise_if_cancelled, retry_database
from shared.handling.transient import is_transient
from shared.messaging.cloudevents import LATE, Malformed, ReceivedEvent, read_event, stored_event
from shared.telemetry.tracing import span

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class Consumer:
    """`handle` is called for each of `events` of the service `owner`, at least once.

    `name` identifies the consumer's mark and never changes. Put a version in it (`credits-jobs-v1`), and raise that to
    begin again from the first event, or when `events` grows: a consumer does not return to events that it has skipped.
    `events` are newest versions; events that were published in older ones are upcast by the owner's `language` (by
    default its contracts).
    """

    name: str
    owner: str
    events: tuple[type[Event], ...]
    handle: Callable[[ReceivedEvent], Awaitable[None]]
    language: Language | None = None

    def codec(self) -> Codec:
        """For all events that the owner publishes; for an owner without contracts, those that are consumed."""
        language = self.language or language_of(self.owner)
        return Codec(dict.fromkeys((*language.events, *self.events)), upcasters=language.upcasters)


class Handling:
    """Handles the messages of one consumer, on its active replica; `codec` replaces the consumer's own."""

    def __init__(
        self, store: EventStore, consumer: Consumer, retries: RetrySettings, codec: Codec | None = None
    ) -> None:
        self.store, self.consumer, self.retries = store, consumer, retries
        self._codec = codec or consumer.codec()
        self._wanted = self._codec.stored_tags(event_type(event) for event in consumer.events)
        self._blocked = set[UUID]()
        self._parked_up_to = 0
        self._resuming: set[Hashable] = set()
        self.lease: Lease | None = None
        """It fences each transaction: nothing is recorded any more once another replica leads."""
        self.handled = 0
        self.failing: dict[str, Failing] = {}
        """Events that fail at the moment, by id."""
        self.on_failing: Callable[[], None] = lambda: None
        """Is called when an event is added to those or removed."""

    async def recall(self) -> None:
        """Reads what is parked already."""
        name = self.consumer.name
        self._resuming, self.failing = set(), {}
        self._blocked = await self.database(lambda connection: parking.blocked(connection, name))
        self._parked_up_to = await self.database(lambda connection: parking.highest(connection, name))

    async def settle(self, message: Message, refused: str | None = None) -> None:
        """Handles a message or parks it: when this returns, it is settled. `refused`: why it must not be handled."""
        name = self.consumer.name
        if refused:
            await self._park(message, "parked", Failure(refused, 0))
            return
        may_be_known = message.position is None or message.position <= self._parked_up_to
        if (
            message.decode is None
            and LATE in message.headers
            and await self.database(partial(parking.supply, consumer=name, message=message))
        ):
            return
        if may_be_known and await self.database(lambda connection: parking.known(connection, name, message.message_id)):
            return
        if message.stream_id in self._blocked and message.stream_id is not None:
            if await self._park(message, "waiting", None):
                return
            self._blocked.discard(message.stream_id)
        failure = await self._handle(message)
        if failure:
            await self._park(message, "parked", failure)

    async def _handle(self, message: Message | Parked) -> Failure | None:
        """Calls the handler until it succeeds, or has failed as often as an event may."""
        tag = message.headers.get("ce-type", "")
        if self._codec.knows(tag) and tag not in self._wanted:
            return None  # another version of a consumed type, which is an event type of its own
        try:
            if isinstance(message, Message) and message.decode:
                recorded = stored_event(tag, message.epoch, message.decode)
            else:
                identity = message.identity if isinstance(message, Message) else None
                recorded = read_event(
                    self.consumer.owner, self._codec, message.subject, message.headers, message.body, identity
                )
        except Malformed as error:
            return Failure(str(error), 0)
        try:
            await self._call(recorded)
        except Exception as error:  # noqa: BLE001 - whatever it is, the event must not be lost
            raise_if_cancelled()
            return await self._try_again(recorded, error)
        self.handled += 1
        return None

    async def _try_again(self, recorded: ReceivedEvent, error: Exception) -> Failure | None:
        """What `_handle` does once the first try has failed."""
        event_id, now = str(recorded.event_id), asyncio.get_running_loop().time()
        failing = Failing(recorded.type, event_id, recorded.position, recorded.stream_id, now)
        self.failing[event_id] = failing
        self.on_failing()
        backoff = Backoff(
            f"{self.consumer.name} {failing}", first=self.retries.first_pause, longest=self.retries.longest_pause
        )
        others = self.handled
        try:
            while True:
                failing.error = repr(error)
                if not is_transient(error):
                    failing.attempts += 1
                elif self.handled > others:
                    failing.while_others_passed += 1
                others = self.handled
                if failing.attempts >= self.retries.attempts:
                    return Failure(failing.error, failing.attempts)
                if failing.while_others_passed >= self.retries.attempts_while_others_pass:
                    return Failure(f"{failing.error}, while other events went through", failing.while_others_passed)
                await backoff.pause(error)
                try:
                    await self._call(recorded)
                except Exception as again:  # noqa: BLE001 - as above
                    raise_if_cancelled()
                    error = again
                else:
                    backoff.reset()
                    self.handled += 1
                    return None
        finally:
            del self.failing[event_id]
            self.on_failing()

    async def _call(self, recorded: ReceivedEvent) -> None:
        """Calls the handler with the context of logs and traces; its commands continue this span."""
        context = recorded.context
        correlation = str(context.correlation_id or context.command_id)
        # `bound_contextvars` copies the whole context first.
        bound = structlog.contextvars.bind_contextvars(correlation_id=correlation, consumer=self.consumer.name)
        try:
            name = f"{self.consumer.name} {recorded.type}"
            with span(name, traceparent=context.traceparent, kind="consumer") as current:
                metadata = msgspec.json.encode(context.for_publication(current.traceparent))
                await self._within_bounds(msgspec.structs.replace(recorded, metadata=metadata))
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _within_bounds(self, recorded: ReceivedEvent) -> None:
        try:
            async with asyncio.timeout(self.retries.longest_call) as bounds:
                await self.consumer.handle(recorded)
        except TimeoutError:
            if bounds.expired():
                raise Overdue(f"stopped after {self.retries.longest_call:g} s") from None
            raise

    async def _park(self, message: Message, status: str, failure: Failure | None) -> bool:
        """Returns False for a message that should wait behind a parked one which is resolved by now."""
        error, attempts = (failure.error, failure.attempts) if failure else (None, 0)
        name = self.consumer.name
        if not await self.database(
            lambda connection: parking.park(connection, name, message, status=status, error=error, attempts=attempts)
        ):
            return False
        if message.stream_id is not None:
            self._blocked.add(message.stream_id)
        self._parked_up_to = max(self._parked_up_to, message.position or 0)
        say = log.error if failure else log.warning
        say("event_parked", consumer=name, subject=message.subject, status=status, error=error)
        return True

    # Parked ones

    async def resume_parked(self, lanes: Lanes) -> None:
        """Puts the parked events that operators want retried into their streams' lanes, until cancelled."""
        name = self.consumer.name
        marks = self.store.watermarks
        seen = marks.value(parking.RETRYING)
        found = await self.database(lambda connection: parking.runnable(connection, name))
        while True:
            for first in found:
                key = first.stream_id or first.message_id
                if key not in self._resuming:
                    self._resuming.add(key)
                    lanes.put(key, partial(self._resume, first))
            await marks.wait_beyond(parking.RETRYING, seen, self.retries.look_at_parked_every)
            seen = marks.value(parking.RETRYING)
            found = await self.database(lambda connection: parking.retrying(connection, name))

    async def _resume(self, first: Parked) -> None:
        """Handles a stream's parked events in order, up to the first one that needs an operator."""
        while (parked := await self._next(first)) and parked.status in {"waiting", "retrying"}:
            failure = await self._handle(parked)
            await self.database(partial(self._resumed, parked, failure))
        if parked is None and first.stream_id is not None:
            self._blocked.discard(first.stream_id)
        self._resuming.discard(first.stream_id or first.message_id)

    async def _next(self, first: Parked) -> Parked | None:
        if first.stream_id is None:
            return await self.database(lambda connection: parking.get(connection, first.id))
        return await self.database(lambda connection: parking.head(connection, self.consumer.name, first.stream_id))

    @staticmethod
    async def _resumed(parked: Parked, failure: Failure | None, connection: AsyncConnection) -> None:
        if failure:
            await parking.failed(connection, parked, failure.error, max(1, failure.attempts))
        else:
            await parking.handled(connection, parked)

    async def database(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `work` in a fenced transaction, and repeats it until PostgreSQL answers."""

        async def once() -> T:
            async with self.store.pool.connection() as connection, connection.transaction():
                if self.lease:
                    await self.lease.fence(connection)
                return await work(connection)

        return await retry_database(once, self.consumer.name, self.retries)
