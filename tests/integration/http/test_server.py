"""The server stops at once when requested, and wakes only to renew the date."""

import asyncio
import os
import signal
from typing import Any

import uvicorn

from shared.http.server import Server
from tests.support.patience import PATIENCE, eventually


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never called."""


class Counting(Server):
    ticks = 0

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


def counting_server() -> Counting:
    return Counting(uvicorn.Config(app, port=0, lifespan="off", log_config=None))


async def test_stop_ends_the_wait_for_the_next_tick() -> None:
    server = counting_server()
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.ticks, "it to serve")
    before = server.ticks
    server.stop()
    async with asyncio.timeout(PATIENCE):
        await serving
    assert server.ticks <= before + 2


async def test_a_signal_stops_the_server() -> None:
    """It is then passed to the handler that was set before."""
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: got.append(number))
    try:
        server = counting_server()
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.ticks, "it to serve")
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await serving
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM]


async def test_the_date_is_renewed_by_each_tick() -> None:
    server = counting_server()
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.ticks, "it to serve")
    first = server.server_state.default_headers
    await eventually(lambda: server.server_state.default_headers != first, "another date")
    server.stop()
    await serving
