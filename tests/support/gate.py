"""A way to a server that can be shut and opened again, so that it seems down to one client only."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Gate:
    """Forwards one loopback port to another; `shut` also cuts what is under way."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self._server is not None, "the gate is shut already"
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = None, None
        with contextlib.suppress(OSError):
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            pair = {writer, to_server}
            self._writers |= pair
            await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))
        for side in (writer, to_server):
            if side:
                side.close()
                self._writers.discard(side)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(64 * 1024):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@contextlib.asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[Gate]:
    gate = Gate(port)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.shut()
