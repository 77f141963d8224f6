"""Silence, made on purpose: a TCP proxy that forwards nothing, and processes that are stopped without being ended.

Both keep their connections: whoever speaks to them sees a peer that is there and says nothing, which only a bound on
time can tell from one that thinks.
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

    - `pass`: bytes go through both ways, also those that came while it was silent.
    - `silent`: connections are accepted and stay open; nothing is forwarded, and the end of one is not told either.
    - `cut`: all connections are reset, and new ones at once.

    It has a thread and an event loop of its own: a test that blocks, or one without a loop, may use it alike.
    """

    def __init__(self, upstream: Address | Callable[[], Address]) -> None:
        """`upstream` may be a function, asked at each connection: for a server that has no port yet."""
        self._upstream = upstream if callable(upstream) else lambda: upstream
        self._mode: Mode = "pass"
        self._listener = socket.create_server((LOOPBACK, 0))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="silent proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self.connections = 0
        """How many were ever accepted."""

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
        """In force when this returns."""
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
            behind, ahead = await asyncio.open_connection(*self._upstream())
            opened.append(ahead)
            self._writers.add(ahead)
            await asyncio.gather(self._pump(reader, ahead), self._pump(behind, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in opened:
                each.transport.abort()
                self._writers.discard(each)
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What has been read waits here for the end of a silence; the rest fills the kernel's buffers."""
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
    """End a connection with a RST, where closing would tell the peer an orderly end."""
    connection: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # its peer may have ended it in this moment
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def tree(pid: int) -> list[psutil.Process]:
    """A process and all of its descendants; empty when it has gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """SIGSTOP to the processes and their children, SIGCONT at the end to those that are still the same."""
    stopped: list[psutil.Process] = []
    try:
        for pid in pids:
            # The parent first, so that it makes no more children; then whom it had made meanwhile too.
            os.kill(pid, signal.SIGSTOP)
            stopped += tree(pid)
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in reversed(stopped):  # psutil checks that the number is still the same process's
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
