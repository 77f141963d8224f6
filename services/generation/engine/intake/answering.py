"""Answers workers' requests over plain NATS. Replicas share a queue group, so each request is answered once."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from nats.aio.msg import Msg

from services.generation.workers.broker import BROKER_ERRORS, Broker
from shared.handling.retry import raise_if_cancelled
from shared.stopping import Group

QUEUE = "generation"
MAX_CONCURRENT = 64
"""Requests that are being answered; further ones are dropped, and their workers ask again."""

Answer = Callable[[Msg], Awaitable[msgspec.Struct | None]]
"""The answer to a request; None for none, so that the worker asks again."""

log = structlog.get_logger()


async def answer_requests(broker: Broker, subject: str, answer: Answer) -> None:
    """Answers requests until cancelled. A request whose answer raises gets none."""

    async def respond(message: Msg) -> None:
        try:
            body = await answer(message)
        except Exception as error:  # noqa: BLE001 - other requests must be answered, and the worker asks again
            raise_if_cancelled()
            log.warning("request_is_not_answered", subject=subject, error=type(error).__name__)
            return
        if body is not None:
            with contextlib.suppress(*BROKER_ERRORS):
                await message.respond(msgspec.json.encode(body))

    client = await broker.client()
    async with Group() as tasks:
        running: set[asyncio.Task[None]] = set()

        async def take(message: Msg) -> None:
            if message.reply and len(running) < MAX_CONCURRENT:
                task = tasks.create_task(respond(message))
                running.add(task)
                task.add_done_callback(running.discard)

        subscription = await client.subscribe(subject, QUEUE, cb=take)
        try:
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(*BROKER_ERRORS):
                await subscription.unsubscribe()
