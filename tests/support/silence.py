"""Peers that do not respond: a TCP proxy that forwards nothing, and processes that are stopped with SIGSTOP.

Both keep their connections open: a client can tell them from slow peers only by a timeout.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Literal, Self

import psutil

Address = tuple[str, int]
Mode = Literal["pass", "silent", "cut"]
CHUNK = 64 * 1024
LOOPBACK = "127.0.0.1"


class SilentProxy:
    """A loopback port in front of another: `with SilentProxy(("127.0.0.1", 5432)) as proxy:`, then `proxy.mode = …`.

    - `pass`: forwards in both directions, including bytes that came while it was silent.
    - `silent`: accepts connections and keeps them open; forwards nothing, not even the end of a connection.
    - `cut`: resets all connections, and new ones at once.

    It runs in its own thread and event loop, so that tests that block or have no loop can use it.
    """

    def __init__(self, upstream: Address | Callable[[], Address]) -> None:
        """`upstream` may be a function, called for each connection, if the server has no port yet."""
        self._upstream = upstream if callable(upstream) else lambda: upstream
        self._mode: Mode = "pass"
        self._listener = socket.create_server((LOOPBACK, 0))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="silent proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self.connections = 0
        """How many it has accepted in all."""

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """host:port"""
        return f"{LOOPBACK}:{self.port}"

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        """Returns when the mode is in force."""
        asyncio.run_coroutine_threadsafe(self._turn(mode), self._loop).result(10)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Silent for the length of a `with` block."""
        self.mode = "silent"
        try:
            yield
        finally:
            self.mode = "pass"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._accept, sock=self._listener)

    async def _end(self) -> None:
        await self._turn("cut")
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _turn(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "silent":
            self._passing.clear()
        else:
            self._passing.set()
        if mode == "cut":
            for writer in self._writers:
                _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        opened = [writer]
        try:
            await self._passing.wait()
            if self._mode == "cut":
                _reset(writer)
                return
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream())
            opened.append(upstream_writer)
            self._writers.add(upstream_writer)
            await asyncio.gather(self._pump(reader, upstream_writer), self._pump(upstream_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for opened_writer in opened:
                opened_writer.transport.abort()
                self._writers.discard(opened_writer)
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one direction; during silence it holds one chunk, and the kernel's buffers fill up."""
        while True:
            data = await reader.read(CHUNK)
            await self._passing.wait()
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with a RST instead of a FIN."""
    connection: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # the peer may have just closed it
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def tree(pid: int) -> list[psutil.Process]:
    """A process and all of its descendants; empty if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stops the processes and their children with SIGSTOP, and continues them at the end of the `with` block."""
    stopped: list[psutil.Process] = []
    try:
        for pid in pids:
            # The parent first, so that the list of its children is complete.
            os.kill(pid, signal.SIGSTOP)
            stopped += tree(pid)
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in reversed(stopped):  # psutil checks that the pid was not reused
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
