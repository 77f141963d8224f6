"""The server stops when it is told to, and wakes for nothing but the date."""

import asyncio
import os
import signal
from typing import Any

import uvicorn

from shared.http.server import Server
from tests.support.patience import PATIENCE, eventually


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Has nothing to answer."""


class Counting(Server):
    ticks = 0

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


def made() -> Counting:
    return Counting(uvicorn.Config(app, port=0, lifespan="off", log_config=None))


async def test_it_stops_when_told_without_another_tick() -> None:
    """`stop` ends the wait for the next one."""
    server = made()
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.ticks, "it to serve")
    before = server.ticks
    server.stop()
    async with asyncio.timeout(PATIENCE):
        await serving
    assert server.ticks <= before + 2


async def test_a_signal_stops_it() -> None:
    """As `stop` does; the signal is given on to whoever handled it before."""
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: got.append(number))
    try:
        server = made()
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.ticks, "it to serve")
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await serving
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM]


async def test_the_date_is_that_of_a_moment_ago() -> None:
    """It is made anew by each tick."""
    server = made()
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.ticks, "it to serve")
    first = server.server_state.default_headers
    await eventually(lambda: server.server_state.default_headers != first, "another date")
    server.stop()
    await serving
