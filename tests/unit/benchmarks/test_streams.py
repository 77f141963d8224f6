"""When a follower of the benchmark has seen its job's end."""

import asyncio

import pytest

from benchmarks.streams import following

RESPONSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
OPENED = b"retry: 1000\n\n"
STEP = b'id: 7\nevent: node_completed\ndata: {"status":"completed"}\n\n'
END = b'id: 9\nevent: job_status\ndata: {"job_id":"1","status":"completed"}\n\n'


async def server_of(*parts: bytes, then_close: bool = False):
    """Sends the parts one after the other; and its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        if not then_close:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_end_is_seen_when_the_jobs_last_event_has_come_whole():
    server, url = await server_of(RESPONSE_HEAD + OPENED, STEP, END[:20], END[20:])
    async with server, following(url, "token", "job", 3) as streams:
        assert len(await asyncio.gather(*(stream.ended for stream in streams))) == 3


async def test_the_end_of_a_step_is_not_the_end_of_the_job():
    server, url = await server_of(RESPONSE_HEAD + OPENED, STEP, then_close=True)
    async with server, following(url, "token", "job", 1) as [stream]:
        with pytest.raises(ConnectionError, match="ended before its job"):
            await stream.ended


async def test_a_stream_that_is_refused_is_told():
    server, url = await server_of(b"HTTP/1.1 404 Not Found\r\n\r\n")
    async with server:
        with pytest.raises(ExceptionGroup) as raised:
            async with following(url, "token", "job", 1):
                pass
    assert raised.group_contains(RuntimeError, match="404")
