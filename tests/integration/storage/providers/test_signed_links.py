"""Links with which anybody can read or store one file, for a time."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.support.file_stores.subject import Subject
from tests.support.patience import eventually

HOUR = 3600


class Answer(NamedTuple):
    status: int
    body: bytes
    media_type: str


class Anybody:
    """A client without credentials."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, url: str, **options: Any) -> Answer:
        async with self._session.request(method, URL(url, encoded=True), **options) as response:
            return Answer(response.status, await response.read(), response.content_type)


@pytest_asyncio.fixture
async def anybody() -> AsyncIterator[Anybody]:
    async with aiohttp.ClientSession() as session:
        yield Anybody(session)


@pytest.fixture
def checking(subject: Subject) -> Subject:
    if not subject.checks_signatures:
        pytest.skip("this server answers whatever the signature is")
    return subject


@pytest.mark.parametrize("path", ["a/b.svg", "a/ü 100%+#.svg"], ids=ascii)
async def test_anybody_can_read_a_file_with_a_link(subject: Subject, anybody: Anybody, path: str):
    await subject.put(path, b"0123456789", media_type="image/svg+xml")
    url = await subject.store.signed_read(path, "image/svg+xml", HOUR)
    assert await anybody.send("GET", url) == (200, b"0123456789", "image/svg+xml")
    assert (await anybody.send("GET", url, headers={"Range": "bytes=2-4"}))[:2] == (206, b"234")


@pytest.mark.parametrize("path", ["a/b.svg", "a/ü 100%+#.svg"], ids=ascii)
async def test_anybody_can_store_a_file_with_a_link(subject: Subject, anybody: Anybody, path: str):
    await subject.put(path, b"before")
    signed = await subject.store.signed_upload(path, "image/svg+xml", HOUR)
    answer = await anybody.send("PUT", signed.url, data=b"after", headers=signed.headers)
    assert answer.status in {200, 201}
    assert await subject.get(path) == b"after"


async def test_a_link_is_for_one_file_and_one_method(checking: Subject, anybody: Anybody):
    await checking.put("a.txt", b"a")
    await checking.put("b.txt", b"b")
    url = await checking.store.signed_read("a.txt", "text/plain", HOUR)
    assert (await anybody.send("GET", url)).status == 200
    assert (await anybody.send("GET", url.replace("a.txt", "b.txt"))).status in {401, 403}
    signed = await checking.store.signed_upload("a.txt", "text/plain", HOUR)
    for link in (url, signed.url.replace("a.txt", "b.txt")):
        refused = await anybody.send("PUT", link, data=b"other", headers=signed.headers)
        assert refused.status in {401, 403}
    assert await checking.get("a.txt") == b"a"
    assert await checking.get("b.txt") == b"b"


async def test_a_link_expires(checking: Subject, anybody: Anybody):
    await checking.put("a.txt", b"a")
    url = await checking.store.signed_read("a.txt", "text/plain", 1)
    signed = await checking.store.signed_upload("b.txt", "text/plain", 1)

    async def is_refused() -> bool:
        return (await anybody.send("GET", url)).status in {401, 403}

    await eventually(is_refused, "the link to expire")

    async def is_upload_refused() -> bool:
        answer = await anybody.send("PUT", signed.url, data=b"late", headers=signed.headers)
        return answer.status in {401, 403}

    await eventually(is_upload_refused, "the upload's link to expire")
