"""Publishes another service's events as that service does: through an event store and its relay."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

from shared.contracts.event import Event
from shared.eventstore import Codec, Context, EventStore, StreamAppend
from shared.messaging import Relay
from shared.stopping import stop


class Publisher:
    """Appends events to the service's store."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self._versions: dict[UUID, int] = {}

    async def publish(self, stream_id: UUID, *events: Event, command_id: UUID | None = None) -> int:
        """Appends events to the end of a stream; returns the position of the last one."""
        context = Context(command_id=command_id or uuid4(), actor="test")
        version = self._versions.get(stream_id, 0)
        appended = await self.store.append([StreamAppend(stream_id, version, events)], context)
        self._versions[stream_id] = appended.versions[stream_id]
        return appended.position


@contextlib.asynccontextmanager
async def publisher(
    service: str, events: tuple[type[Event], ...], database: str, nats_url: str
) -> AsyncIterator[Publisher]:
    """A stand-in for `service`, with its own database and a running relay."""
    async with EventStore.open(database, Codec(events)) as store:
        relay = asyncio.create_task(Relay(store, service, nats_url).run())
        try:
            yield Publisher(store)
        finally:
            await stop(relay)
