"""A subscription of NATS that hears the very next message, whoever sends it."""

from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription


async def listen(client: Client, subject: str, heard: Callable[[Msg], Awaitable[None]]) -> Subscription:
    """Subscribes, and returns when the server knows of it."""
    subscription = await client.subscribe(subject, cb=heard)
    # nats-py sends the first flush's PING before what is pending, which is the subscription: a second one follows it.
    await client.flush()
    await client.flush()
    return subscription
