"""Taking messages from a work queue as they come: pull requests that are renewed before they are used up."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

AT_A_TIME = 256
EXPIRES_NS = 30_000_000_000


async def arriving(client: Client, stream: str, durable: str, subject: str) -> AsyncGenerator[Msg, None]:
    """Messages of a durable consumer, without end. Creates it if missing. Close it to give up what it has requested."""
    config = ConsumerConfig(
        durable_name=durable, filter_subject=subject, ack_policy=AckPolicy.EXPLICIT, ack_wait=60, max_ack_pending=-1
    )
    await client.jetstream().add_consumer(stream, config)
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    request = msgspec.json.encode({"batch": AT_A_TIME, "expires": EXPIRES_NS})
    ask, asked_for = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", AT_A_TIME
    try:
        await client.publish(ask, request, reply=inbox)
        async for message in subscription.messages:
            if message.headers and message.headers.get("Status"):
                asked_for = 0  # it has expired, or was refused
            else:
                asked_for -= 1
                yield message
            if asked_for < AT_A_TIME // 2:
                await client.publish(ask, request, reply=inbox)
                asked_for += AT_A_TIME
    finally:
        await subscription.unsubscribe()


async def settle_all(messages: AsyncGenerator[Msg, None], settle: Callable[[Msg], Coroutine[Any, Any, None]]) -> None:
    """Handles each message in a task of its own, without end. Raises what a task raises."""
    async with contextlib.aclosing(messages), asyncio.TaskGroup() as tasks:
        async for message in messages:
            tasks.create_task(settle(message))
