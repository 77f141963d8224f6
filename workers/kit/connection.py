"""A connection to NATS of a worker's own, for what the kit does not ask the engine."""

import contextlib
from collections.abc import AsyncIterator

from nats.aio.client import Client

from shared.messaging.connection import close, connect


@contextlib.asynccontextmanager
async def own_connection(nats_url: str, name: str) -> AsyncIterator[Client]:
    """Open for the length of a block, through outages of the servers. Waits until there is one."""
    client = await connect(nats_url, name)
    try:
        yield client
    finally:
        await close(client)
