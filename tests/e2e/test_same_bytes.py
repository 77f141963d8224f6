"""Through the edge, every byte that a client sent stays as it was, or the request is refused."""

import asyncio
import http.client
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import msgspec
import pytest

from tests.support.running_set import RunningSet

NFD = "e\u0301"
"""An é of two characters; normalised (NFC), it is one."""
CREATED = b'{"title": "Bytes"}'


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def data(self) -> Any:
        return msgspec.json.decode(self.body)["data"]

    @property
    def pointers(self) -> list[str]:
        return [detail["pointer"] for detail in msgspec.json.decode(self.body)["details"]]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


class Sender:
    """Sends header values as the bytes that they are; other clients encode texts."""

    def __init__(self, running: RunningSet) -> None:
        self._address = running.url.removeprefix("http://")
        self._token = running.token(uuid4()).encode()

    async def send(self, method: str, path: str, body: bytes = b"", **headers: bytes) -> Answer:
        return await asyncio.to_thread(self._send, method, path, body, headers)

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, bytes]) -> Answer:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.putrequest(method, path)
            sent = {"content_type": b"application/json", "authorization": b"Bearer " + self._token, **headers}
            for name, value in {**sent, "content_length": b"%d" % len(body)}.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()


@pytest.fixture
def sender(running: RunningSet) -> Sender:
    return Sender(running)


@pytest.mark.parametrize("sent", ["text/plain; charset=shift_jis", "text/plain", "text/html; charset=utf-8", "a/b"])
async def test_a_file_keeps_its_own_charset(sender: Sender, sent: str) -> None:
    """It is neither lost nor doubled, and no other one is added."""
    stored = await sender.send("POST", "/assets", b"bytes", content_type=sent.encode(), x_filename=b"a.txt")
    assert (stored.status, stored.data["mime_type"]) == (201, sent)
    for method in ("GET", "HEAD"):
        content = await sender.send(method, f"/assets/{stored.data['id']}/content")
        assert (content.status, content.all("content-type")) == (200, [sent])


async def test_a_decomposed_text_stays_decomposed(sender: Sender) -> None:
    """In a body, in a file's name, and in the header that names the file to a browser."""
    created = await sender.send("POST", "/projects/collections", f'{{"title": "{NFD}"}}'.encode())
    assert created.data["title"] == NFD
    read = await sender.send("GET", f"/collections/{created.data['id']}")
    assert f'"title":"{NFD}"'.encode() in read.body.replace(b'": "', b'":"')
    stored = await sender.send("POST", "/assets", b"bytes", content_type=b"a/b", x_filename=quote(NFD).encode())
    assert stored.data["name"] == NFD
    content = await sender.send("GET", f"/assets/{stored.data['id']}/content")
    assert quote(NFD) in content.all("content-disposition")[0]


@pytest.mark.parametrize("keys", [(b"caf\xe9", b"caf\xe8"), (b"caf\xc3\xa9", b"cafe\xcc\x81"), (b"\xff", b"\xfe")])
async def test_keys_of_other_bytes_are_refused_not_merged(sender: Sender, keys: tuple[bytes, bytes]) -> None:
    for key in keys:
        refused = await sender.send("POST", "/projects/collections", CREATED, idempotency_key=key)
        assert (refused.status, refused.pointers) == (400, ["header:Idempotency-Key"])
    assert (await sender.send("GET", "/projects")).data == []


async def test_a_header_that_cannot_be_passed_on_is_refused(sender: Sender) -> None:
    """Also one that no service reads."""
    refused = await sender.send("POST", "/projects/collections", CREATED, x_title=b"caf\xe9")
    assert (refused.status, refused.pointers) == (400, ["header:X-Title"])
    accepted = await sender.send("POST", "/projects/collections", CREATED, x_title="caf\u00e9".encode())
    assert accepted.status == 201
