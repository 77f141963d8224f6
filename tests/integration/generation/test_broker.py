"""Publishing work: what is stored, what was stored before, and what the stream refuses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from services.generation.workers.broker import Broker
from shared.contracts.work import WORK_STREAM
from shared.handling.transient import is_transient
from shared.stopping import stop

SUBJECT, TOO_LARGE_FOR_THE_STREAM = "work.direct_job.sketch", 10054


@pytest_asyncio.fixture
async def broker(nats_url: str) -> AsyncIterator[Broker]:
    instance = Broker(nats_url, "publishing")
    connection = asyncio.create_task(instance.run())
    try:
        yield instance
    finally:
        await stop(connection)


async def test_streams_that_are_missing_are_made(broker: Broker) -> None:
    """The first publish creates them, also after they were deleted."""
    js = await broker.jetstream()
    with contextlib.suppress(APIError):
        await js.delete_stream(WORK_STREAM)
    assert await broker.publish(SUBJECT, b"{}", str(uuid4()))
    await js.delete_stream(WORK_STREAM)
    assert await broker.publish(SUBJECT, b"{}", str(uuid4()))
    assert (await js.stream_info(WORK_STREAM)).state.messages == 1


async def test_an_id_that_is_known_is_not_stored_again(broker: Broker) -> None:
    message_id = str(uuid4())
    assert await broker.publish(SUBJECT, b"{}", message_id)
    assert not await broker.publish(SUBJECT, b"{}", message_id)


async def test_what_the_stream_refuses_is_an_error_of_its_own(broker: Broker) -> None:
    """It is not taken for a server that is away: another try would be refused, too."""
    await broker.ensure_streams()
    js = await broker.jetstream()
    config = (await js.stream_info(WORK_STREAM)).config
    await js.update_stream(StreamConfig(**{**config.__dict__, "max_msg_size": 100}))
    with pytest.raises(APIError) as refused:
        await broker.publish(SUBJECT, b"x" * 200, str(uuid4()))
    assert refused.value.err_code == TOO_LARGE_FOR_THE_STREAM
    assert not is_transient(refused.value)
