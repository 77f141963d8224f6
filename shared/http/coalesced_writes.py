"""Sends a response's head and body, which uvicorn writes one after the other, with one system call.

They leave as one packet, so the receiving process, mostly the edge, is woken once.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Data = bytes | bytearray | memoryview


class CoalescingTransport(asyncio.Transport):
    """Joins two writes: the first waits for the second, at most until the end of this turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport, self._loop = transport, loop
        self._waiting: Data = b""

    def write(self, data: Data) -> None:
        """Sends a waiting write together with this one; without one, this one waits."""
        if self._waiting:
            parts, self._waiting = (self._waiting, data), b""
            self._transport.writelines(parts)
        elif data:
            self._waiting = data
            self._loop.call_soon(self.flush)

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        """Sends a waiting write, then these."""
        self.flush()
        self._transport.writelines(list_of_data)

    def flush(self) -> None:
        """Sends a waiting write, unless the transport is closing."""
        data, self._waiting = self._waiting, b""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Closes after a waiting write and the buffer of the transport have been sent."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Closes at once; a waiting write is dropped."""
        self._waiting = b""
        self._transport.abort()

    def write_eof(self) -> None:
        """Closes the sending side after a waiting write."""
        self.flush()
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """As `asyncio.Transport`."""
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        """As `asyncio.Transport`."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As `asyncio.Transport`."""
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Bytes that are not sent yet: a waiting write's, too."""
        return self._transport.get_write_buffer_size() + len(self._waiting)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """As `asyncio.Transport`."""
        return self._transport.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As `asyncio.Transport`."""
        self._transport.set_write_buffer_limits(high, low)

    def is_reading(self) -> bool:
        """As `asyncio.Transport`."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """As `asyncio.Transport`."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As `asyncio.Transport`."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As `asyncio.Transport`."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """As `asyncio.Transport`."""
        return self._transport.get_protocol()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol over a CoalescingTransport, for `uvicorn.Config(http=…)`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As uvicorn's, with the transport wrapped."""
        super().connection_made(CoalescingTransport(cast("asyncio.Transport", transport), self.loop))
