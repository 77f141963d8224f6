"""Events that can't be published: they are parked, and published later when an operator retries them.

The broker refuses them, or this release knows no version of their type (a newer one ran before it, or a fault).

In place of such an event the relay publishes a message that names it and has no body, and continues.
Consumers of the event park that message, and the later events of its stream wait behind it until the event comes.
"""

from typing import NamedTuple
from uuid import UUID

import structlog

from shared.eventstore import EventStore, UndecodedEvent, UnknownEventType
from shared.handling import operator_actions, parking
from shared.handling.delivery import Message
from shared.handling.parking import Parked
from shared.messaging.cloudevents import LATE, event_headers, event_subject, late_id
from shared.messaging.outbox import Outbox, describe
from shared.messaging.publishing import Publisher, Refused
from shared.messaging.streams import MSG_ID, message_id

NAME = "relay"
"""The consumer under whose name refused events are parked."""
MESSAGE_ERRORS = {10054, 10097}
"""JetStream's errors for a message or headers that are too large for the stream."""
MISMATCH = {10070, 10071, 10164}
"""JetStream's errors when the stream's last message is not the expected one: the fence."""
MAX_REFUSALS = 5
"""Refusals in succession after which an event is withheld for any reason, since all others wait behind it."""
STREAM_ERRORS = {0, 503, 10008, 10009, 10023, 10039, 10047, 10059, 10074, 10076, 10077, 10109, 10118}
"""JetStream's errors when the stream refuses every message: it is full, offline, sealed, or without resources."""

MAX_REQUESTED = 10_000
"""Withheld events that are retried at once when a relay starts."""

log = structlog.get_logger()


class Envelope(NamedTuple):
    """A message without the headers that fence its place in the stream."""

    subject: str
    body: bytes
    headers: dict[str, str]


def size_of(headers: dict[str, str], body: bytes) -> int:
    """Bytes as the server counts them, with room for the headers that are added when it is sent."""
    return sum(map(len, headers)) + sum(map(len, headers.values())) + 4 * len(headers) + len(body) + 256


class Refusals:
    """The events that one relay withholds. Kept in memory only: after a restart the broker refuses them again."""

    def __init__(self, store: EventStore, outbox: Outbox, service: str) -> None:
        self._store, self._outbox, self._service = store, outbox, service
        self.reasons: dict[UUID, str] = {}
        self._last: tuple[int, int] = (0, 0)

    def note(self, event: UndecodedEvent, refused: Refused) -> bool:
        """Notes a refusal; returns whether the event is withheld from now on, because the event itself is the cause."""
        if refused.code in MISMATCH | STREAM_ERRORS:
            return False
        position, times = self._last
        self._last = (event.position, times + 1 if position == event.position else 1)
        if refused.code in MESSAGE_ERRORS or self._last[1] >= MAX_REFUSALS:
            self.reasons = {event.event_id: str(refused)}
            return True
        return False

    async def park(self, event: UndecodedEvent, envelope: Envelope, reason: str) -> None:
        """Parks an event that can't be published under the name "relay", with the reason."""
        message = Message(
            str(event.event_id),
            envelope.subject,
            envelope.headers,
            envelope.body,
            event.stream_id,
            event.position,
            self._store.epoch_of(event.position),
        )
        async with self._store.pool.connection() as connection:
            await parking.park(connection, NAME, message, status="parked", error=reason)
        log.error("event_withheld", service=self._service, what=describe(event), reason=reason)

    async def retry_known_types(self) -> None:
        """Retries the events that were withheld because the release that ran then did not know their types."""
        codec = self._store.codec
        async with self._store.pool.connection() as connection:
            events = await operator_actions.list_parked(connection, NAME, statuses=("parked",), limit=MAX_REQUESTED)
            for event in events:
                tag = event.type or ""
                if event.error == str(UnknownEventType(tag)) and codec.has_aggregate(tag):
                    await operator_actions.retry(connection, event.id, by=NAME, reason="this release knows its type")

    async def retry(self, publisher: Publisher, expected: dict[str, str], timeout: float) -> bool:  # noqa: ASYNC109 - for one answer
        """Publishes the first event that operators retry, at the end of the stream; returns whether there was one."""
        async with self._store.pool.connection() as connection:
            requested = await parking.retrying(connection, NAME)
        for parked in requested[:1]:
            refused = await self._retry(publisher, parked, expected, timeout)
            async with self._store.pool.connection() as connection:
                if refused is None:
                    await parking.mark_handled(connection, parked)
                else:
                    await parking.mark_failed(connection, parked, refused, 1)
        return bool(requested)

    async def _retry(
        self,
        publisher: Publisher,
        parked: Parked,
        expected: dict[str, str],
        timeout: float,  # noqa: ASYNC109 - for one answer
    ) -> str | None:
        event = await self._outbox.read(parked.position or 0)
        if event is None or str(event.event_id) != parked.message_id:
            return f"the store has no event {parked.message_id} at position {parked.position} any more: discard it"
        if not self._store.codec.has_aggregate(event.stored_type):
            return str(UnknownEventType(event.stored_type))
        epoch = self._store.epoch_of(event.position)
        headers = event_headers(self._service, event, epoch) | expected
        headers[LATE] = "true"
        headers[MSG_ID] = late_id(message_id(self._service, epoch, event.position))
        if size_of(headers, event.data) > publisher.max_payload:
            return f"it is larger than the broker's limit of {publisher.max_payload} bytes"
        return await publisher.ask(event_subject(self._service, event), event.data, headers, timeout)
