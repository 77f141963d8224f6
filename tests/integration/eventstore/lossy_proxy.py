"""A TCP proxy before PostgreSQL that drops answers and closes connections at moments that a test chooses."""

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IDLE = b"Z\x00\x00\x00\x05I"
"""PostgreSQL's ReadyForQuery outside a transaction: what was asked is done and committed."""


class LossyProxy:
    def __init__(self, dsn: str) -> None:
        self._server_url = urlsplit(dsn)
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._port = 0
        self._losing = b""
        self.lost = 0
        """The number of PostgreSQL's answers that were dropped."""

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, dsn: str) -> "AsyncIterator[LossyProxy]":
        proxy = cls(dsn)
        await proxy.come_back()
        yield proxy
        await proxy.go_away()

    @property
    def dsn(self) -> str:
        user = self._server_url.netloc.rpartition("@")[0]
        return urlunsplit(self._server_url._replace(netloc=f"{user}@127.0.0.1:{self._port}"))

    def lose_answer_to(self, statement: bytes) -> None:
        """Drops the next answer on a connection that has just sent `statement`, and closes it.

        It drops the whole answer: its first part may come before the server has read what follows the
        statement, such as its COMMIT.
        """
        self._losing = statement

    async def go_away(self) -> None:
        """Closes all connections, and refuses new ones."""
        if self._listener:
            self._listener.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def come_back(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        up_reader, up_writer = await asyncio.open_connection(self._server_url.hostname, self._server_url.port)
        try:
            await self._pass_on(reader, writer, up_reader, up_writer)
        except (OSError, asyncio.CancelledError):
            pass  # the other side's end of it: closed below
        finally:
            self._connections.discard(task)
            writer.close()
            up_writer.close()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        request, answer = asyncio.ensure_future(reader.read(65536)), asyncio.ensure_future(up_reader.read(65536))
        losing, before, dropped = False, b"", b""
        try:
            while True:
                await asyncio.wait((request, answer), return_when=asyncio.FIRST_COMPLETED)
                if request.done():
                    if not (data := request.result()):
                        return
                    if self._losing and self._losing in before + data:
                        self._losing, losing = b"", True
                    before = data[-64:]  # a statement may come in two pieces
                    up_writer.write(data)
                    request = asyncio.ensure_future(reader.read(65536))
                if answer.done():
                    if not (data := answer.result()):
                        return
                    if losing and IDLE in (dropped := dropped[-len(IDLE) :] + data):
                        self.lost += 1
                        return
                    if not losing:
                        writer.write(data)
                    answer = asyncio.ensure_future(up_reader.read(65536))
        finally:
            request.cancel()
            answer.cancel()
