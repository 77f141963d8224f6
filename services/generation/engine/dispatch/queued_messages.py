"""Looks into the work queue, whose messages are there until they are acknowledged: waiting, or at a worker."""

from datetime import datetime

from nats.js.errors import NotFoundError

from services.generation.domain.turns import StepKey
from services.generation.processes.dispatch_steps import key_of_message
from services.generation.workers.broker import Broker
from shared.contracts.work import WORK_STREAM, work_subject


async def queued_attempts(broker: Broker) -> dict[StepKey, datetime]:
    """All attempts whose messages are in the queue, and when each was sent. One request for each message."""
    js = await broker.jetstream()
    queued: dict[StepKey, datetime] = {}
    sequence = 1
    while True:
        try:
            message = await js.get_msg(WORK_STREAM, seq=sequence, subject="work.>", next=True)
        except NotFoundError:
            return queued
        sequence = (message.seq or sequence) + 1
        key = key_of_message(message.headers or {})
        if key is not None and message.time is not None:
            queued[key] = message.time


async def oldest_message(broker: Broker, kind: str) -> datetime | None:
    """When the oldest message of a kind was sent; None if there is none. Creates the queue if it is missing."""
    js = await broker.jetstream()
    try:
        message = await js.get_msg(WORK_STREAM, seq=1, subject=work_subject(kind), next=True)
    except NotFoundError:
        await broker.ensure_streams()
        return None
    return message.time
