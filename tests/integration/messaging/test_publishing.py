"""Headers arrive as nats-py itself sends them, although they are given to it in another form."""

import asyncio

import pytest
from nats.aio.client import Client

from shared.messaging.connection import connected
from shared.messaging.publishing import Publisher, joined
from tests.support.patience import PATIENCE

EVENT = {f"ce-{number}": f"value {number}: é" for number in range(18)}
HEADERS = [
    {"a": "1"},
    EVENT,
    {"a": " trimmed ", "b": "", "c": "\ttrimmed"},
    {"a": "two\nlines", "b": "more\r\nof: them"},
    {"a": "1", "b": "x\r"},
    {},
]


async def received(client: Client, subject: str) -> "asyncio.Queue[dict[str, str] | None]":
    queue: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()

    async def put(message: object) -> None:
        queue.put_nowait(getattr(message, "headers", None))

    await client.subscribe(subject, cb=put)
    return queue


@pytest.mark.parametrize("headers", HEADERS)
async def test_headers_arrive_as_nats_py_sends_them(nats_url: str, headers: dict[str, str]) -> None:
    async with connected(nats_url, "publishing") as client:
        queue = await received(client, "headers")
        await client.publish("headers", b"body", headers=headers)
        await Publisher(client).send("headers", b"body", headers)
        async with asyncio.timeout(PATIENCE):
            theirs, ours = await queue.get(), await queue.get()
    assert theirs == ours
    assert list(theirs or ()) == list(ours or ())


def test_the_headers_of_an_event_are_one_for_nats_py() -> None:
    """Values that it must clean are left to it."""
    assert len(joined(EVENT)) == 1
    assert joined(HEADERS[3]) is HEADERS[3]
