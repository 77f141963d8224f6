"""The tools of the fault suites work."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from tests.support.patience import PATIENCE, wait_for
from tests.support.silence import SilentProxy, frozen


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[tuple[str, int]]:
    """An echo server."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[:2]
    server.close()


async def test_a_silent_proxy_keeps_connections_and_what_they_said(echo: tuple[str, int]) -> None:
    with SilentProxy(echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        with proxy.silent():
            writer.write(b"two")
            late_reader, late_writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            late_writer.write(b"three")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.3)
            assert not late_reader.at_eof()
        assert await asyncio.wait_for(reader.readexactly(3), PATIENCE) == b"two"
        assert await asyncio.wait_for(late_reader.readexactly(5), PATIENCE) == b"three"
        assert proxy.connections == 2


async def test_a_cut_proxy_ends_connections(echo: tuple[str, int]) -> None:
    with SilentProxy(echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        proxy.mode = "cut"
        with pytest.raises(ConnectionError):
            assert await asyncio.wait_for(reader.readexactly(1), PATIENCE)
        proxy.mode = "pass"
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"two")
        assert await asyncio.wait_for(reader.readexactly(3), PATIENCE) == b"two"


async def test_the_end_of_one_direction_leaves_the_other(echo: tuple[str, int]) -> None:
    """As HTTP clients do that close after their request."""
    with SilentProxy(echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"last words")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b"last words"


def test_what_is_frozen_goes_on_afterwards() -> None:
    program = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with frozen(process.pid):
            stopped = psutil.STATUS_STOPPED
            wait_for(lambda: psutil.Process(process.pid).status() == stopped, "the process to stand still")
            process.stdin.write(b"hello\n")
            process.stdin.flush()
        assert process.stdout.readline() == b"hello\n"
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_what_died_while_it_was_frozen_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        with frozen(process.pid):
            process.kill()
            process.wait(PATIENCE)
        assert process.returncode == -9


async def test_a_proxy_asks_for_its_upstream_at_each_connection(echo: tuple[str, int]) -> None:
    """So that it can stand there before its server has a port."""
    addresses: list[tuple[str, int]] = []
    with SilentProxy(lambda: addresses[-1]) as proxy:
        addresses.append(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        assert await asyncio.wait_for(reader.readexactly(3), PATIENCE) == b"one"
