"""Connections whose opening is cancelled."""

import asyncio
import gc
import socket
from collections.abc import Iterator

import pytest

from shared.eventstore.connections import connect
from shared.stopping import stop
from tests.support.patience import PATIENCE


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Disables the garbage collector, which would close unreferenced connections at any time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
async def test_a_cancelled_connect_closes_its_connection() -> None:
    """Also while a reference to the task exists."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        dsn = f"postgresql://user:password@127.0.0.1:{server.getsockname()[1]}/database?sslmode=disable"
        connecting = asyncio.create_task(connect(dsn, "test"))
        accepted, _ = await loop.sock_accept(server)
        with accepted:
            accepted.setblocking(False)
            assert await loop.sock_recv(accepted, 1000), "it has said what it wants"
            await stop(connecting)
            async with asyncio.timeout(PATIENCE):
                assert await loop.sock_recv(accepted, 1000) == b"", "its end"
