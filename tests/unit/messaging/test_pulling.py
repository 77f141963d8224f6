"""A pull asks for what the window has room for, and waits for room when the next message has none."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.handling.window import Window
from shared.messaging.pulling import Pull, PullSettings
from shared.stopping import stop
from tests.support.patience import eventually

MOST_BYTES = 20_000
NO_ROOM = {"Status": "409", "Description": "Message Size Exceeds MaxBytes"}


class PlayedClient:
    """A connection to a server that answers what the test says; it keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._arrived: Callable[[Msg], Awaitable[None]] | None = None

    def new_inbox(self) -> str:
        return "inbox"

    async def subscribe(self, _inbox: str, *, cb: Callable[[Msg], Awaitable[None]], **_: Any) -> "PlayedClient":
        self._arrived = cb
        return self

    async def unsubscribe(self) -> None:
        pass

    async def publish(self, _subject: str, body: bytes, **_: Any) -> None:
        self.requests.append(msgspec.json.decode(body))

    async def answer(self, headers: dict[str, str]) -> None:
        assert self._arrived is not None
        await self._arrived(Msg(_client=cast("Client", self), subject="inbox", reply="", data=b"", headers=headers))


async def test_room_that_was_made_before_the_pull_waits_for_it_is_used() -> None:
    """All that was in flight was settled right after the server had said that the next message has no room."""
    client, window = PlayedClient(), Window(10, MOST_BYTES)
    window.take(15_000)
    pull = asyncio.create_task(_pull(client, window).run())
    await eventually(lambda: client.requests, "the first request")
    await client.answer(NO_ROOM)
    window.give_back(15_000)
    await eventually(lambda: len(client.requests) == 2, "a request with all the room", within=10)
    assert [request["max_bytes"] for request in client.requests] == [MOST_BYTES - 15_000, MOST_BYTES]
    await stop(pull)


async def test_without_more_room_it_asks_for_nothing() -> None:
    client, window = PlayedClient(), Window(10, MOST_BYTES)
    window.take(10_000)
    window.take(5_000)
    pull = asyncio.create_task(_pull(client, window).run())
    await eventually(lambda: client.requests, "the first request")
    await client.answer(NO_ROOM)
    await asyncio.sleep(0.1)
    assert len(client.requests) == 1
    window.give_back(5_000)
    await eventually(lambda: len(client.requests) == 2, "a request with more room")
    await stop(pull)


def _pull(client: PlayedClient, window: Window) -> Pull:
    return Pull(cast("Client", client), "COUNTING", "tests", window, lambda _: None, PullSettings())
