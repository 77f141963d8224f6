"""A NATS subscription that is active when `listen` returns."""

from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription


async def listen(client: Client, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> Subscription:
    """Subscribes, and returns when the server has processed the subscription."""
    subscription = await client.subscribe(subject, cb=callback)
    # nats-py sends the PING of a flush before pending data, here the subscription. The second PING comes after it.
    await client.flush()
    await client.flush()
    return subscription
