"""A connection of the worker to NATS, for requests that the kit does not make."""

import contextlib
from collections.abc import AsyncIterator

from nats.aio.client import Client

from shared.messaging.connection import close, connect


@contextlib.asynccontextmanager
async def own_connection(nats_url: str, name: str) -> AsyncIterator[Client]:
    """A connection for the length of a block, reopened after outages. Waits until it is open."""
    client = await connect(nats_url, name)
    try:
        yield client
    finally:
        await close(client)
