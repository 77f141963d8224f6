"""Where an answer ends, and the figures of a load."""

import asyncio

import pytest

from benchmarks.http_load import answer_end, load, request

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_an_answer_ends_where_its_form_says_and_not_before(answer):
    assert answer_end(answer) == len(answer)
    assert answer_end(answer + b"HTTP/1.1 200") == len(answer)
    assert all(answer_end(answer[:length]) is None for length in range(len(answer)))


def test_a_request_is_the_whole_of_what_is_sent():
    sent = request("POST", "http://127.0.0.1:80", "/things", {"a": 1}, {"X-User": "me"})
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /things HTTP/1.1",
        b"Host: 127.0.0.1:80",
        b"X-User: me",
        b"Content-Type: application/json",
        b"Content-Length: 7",
    ]
    assert body == b'{"a":1}'


async def served(status: bytes, *, close: bool = False):
    """A server that answers each request so, and its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 " + status + b" X\r\nContent-Length: 2\r\n" + (b"Connection: close\r\n" if close else b"")
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(head + b"\r\n{}")
            if close:
                break
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_every_answer_is_counted_with_its_latency():
    server, url = await served(b"200")
    async with server:
        loaded = await load(url, [request("GET", url, "/")] * 3, 200, 0.1)
    assert loaded.statuses[200] == len(loaded.latencies) >= 3
    assert loaded.rate > 0
    assert loaded.p50 > 0


async def test_a_server_that_closes_its_connections_is_asked_over_new_ones():
    server, url = await served(b"200", close=True)
    async with server:
        loaded = await load(url, [request("GET", url, "/")], 200, 0.1)
    assert loaded.statuses[200] >= 1
    assert not loaded.broken


async def test_answers_that_are_not_the_expected_ones_are_no_figure():
    server, url = await served(b"503")
    async with server:
        with pytest.raises(RuntimeError, match=r"answered \{503: \d+\} instead of 200"):
            await load(url, [request("GET", url, "/")], 200, 0.05)
