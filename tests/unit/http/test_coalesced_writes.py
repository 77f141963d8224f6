"""A response's head and body are sent in one write; a single write waits for the event loop's next turn at most."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
import uvicorn

from shared.http.coalesced_writes import CoalescingTransport, Data, HttpProtocol
from shared.http.server import Server
from tests.support.patience import eventually
from tests.support.serving import free_port


class Recording(asyncio.Transport):
    """A transport that records its writes, one entry per system call of a real one."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.is_closed = self.is_aborted = False

    def write(self, data: Data) -> None:
        self.sent.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        self.sent.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


def joining() -> tuple[Recording, CoalescingTransport]:
    recording = Recording()
    return recording, CoalescingTransport(recording, asyncio.get_running_loop())


@pytest.mark.asyncio
async def test_two_writes_of_a_turn_are_joined() -> None:
    recording, transport = joining()
    for data in (b"head", b"body", b"head 2", b"", b"body 2"):
        transport.write(data)
    assert recording.sent == [b"headbody", b"head 2"]
    await asyncio.sleep(0)
    assert recording.sent == [b"headbody", b"head 2", b"body 2"]


@pytest.mark.asyncio
async def test_a_single_write_is_sent_in_the_next_turn() -> None:
    """Such as the head of a stream of events."""
    recording, transport = joining()
    transport.write(b"head")
    assert recording.sent == []
    await asyncio.sleep(0)
    assert recording.sent == [b"head"]


@pytest.mark.asyncio
async def test_close_sends_a_waiting_write_and_abort_drops_it() -> None:
    recording, transport = joining()
    transport.write(b"head")
    transport.close()
    assert (recording.sent, recording.is_closed) == ([b"head"], True)
    recording, transport = joining()
    transport.write(b"head")
    transport.abort()
    await asyncio.sleep(0)
    assert (recording.sent, recording.is_aborted) == ([], True)


@pytest.mark.asyncio
async def test_a_waiting_write_is_dropped_when_the_client_has_gone() -> None:
    recording, transport = joining()
    transport.write(b"head")
    recording.is_closed = True
    await asyncio.sleep(0)
    assert recording.sent == []


class Counted(CoalescingTransport):
    """A transport that counts writes and passes them on."""

    calls = 0

    def write(self, data: Data) -> None:
        Counted.calls += 1
        super().write(data)
        self.flush()

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        Counted.calls += 1
        super().writelines(list_of_data)


class Counting(HttpProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(Counted(transport, asyncio.get_running_loop()))


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


@pytest.mark.asyncio
async def test_a_server_answers_with_one_write() -> None:
    port, before = free_port(), Counted.calls
    server = Server(uvicorn.Config(app, http=Counting, port=port, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, "it to serve")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(1, 11):
        writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert Counted.calls == before + number
    writer.close()
    server.stop()
    await serving
