"""Publishes another service's events as that service does: through an event store and its relay."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

from shared.contracts.event import Event
from shared.eventstore import Codec, Context, EventStore, StreamAppend
from shared.messaging import Relay
from shared.stopping import stop
from tests.support.patience import eventually


class Publisher:
    """Appends events to the service's store, and with `waits` waits until they are published.

    Readers without a position can be sure only of what is.
    """

    def __init__(self, store: EventStore, relay: Relay, *, waits: bool = False) -> None:
        self.store, self._relay, self._waits = store, relay, waits
        self._versions: dict[UUID, int] = {}

    async def publish(self, stream_id: UUID, *events: Event, command_id: UUID | None = None) -> int:
        """Appends events to the end of a stream; returns the position of the last one."""
        context = Context(command_id=command_id or uuid4(), actor="test")
        version = self._versions.get(stream_id, 0)
        appended = await self.store.append([StreamAppend(stream_id, version, events)], context)
        self._versions[stream_id] = appended.versions[stream_id]
        if self._waits:
            await eventually(lambda: self._relay.published >= appended.position, "the events to be published")
        return appended.position


@contextlib.asynccontextmanager
async def publisher(
    service: str, events: tuple[type[Event], ...], database: str, nats_url: str, *, waits: bool = False
) -> AsyncIterator[Publisher]:
    """A stand-in for `service`, with its own database and a running relay."""
    async with EventStore.open(database, Codec(events)) as store:
        relay = Relay(store, service, nats_url)
        running = asyncio.create_task(relay.run())
        try:
            yield Publisher(store, relay, waits=waits)
        finally:
            await stop(running)
