"""With a machine clock that is hours off, files are stored and read: requests are signed with the store's time."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from services.storage.providers.s3.signed import StoreClock
from services.storage.providers.s3.store import S3Store
from services.storage.providers.s3.upload import PART
from shared.contracts.problem import Problem
from tests.support.servers import Bucket

HOUR = 3600.0
Open = Callable[..., S3Store]


@pytest.fixture
def opened(bucket: Bucket) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_store(clock: StoreClock, secret_key: str | None = None) -> S3Store:
            s3 = bucket.s3
            store = S3Store(s3.endpoint, s3.access_key, secret_key or s3.secret_key, bucket.name, clock=clock)
            stack.callback(store.close)
            return store

        yield open_store


async def stored(store: S3Store, path: str, content: bytes) -> bytes:
    """Stores a file and reads it back."""
    upload = store.upload(path, "text/plain")
    try:
        await upload.write(content)
        await upload.complete()
    finally:
        await upload.abort()
    return b"".join([chunk async for chunk in await store.read(path, 0, len(content))])


@pytest.mark.parametrize("off", [HOUR, -HOUR, 24 * HOUR])
@pytest.mark.parametrize("content", [b"small", b"large" * (PART // 4)], ids=["whole", "in parts"])
async def test_a_process_that_starts_with_a_wrong_clock(opened: Open, off: float, content: bytes) -> None:
    store = opened(StoreClock(system=lambda: time.time() + off))
    assert await stored(store, "a.txt", content) == content
    await store.try_to_write(".health/x")


@pytest.mark.parametrize("off", [HOUR, -HOUR])
async def test_the_first_request_is_a_read(opened: Open, off: float) -> None:
    """The refused response is drained, so its connection serves the next request."""
    assert await stored(opened(StoreClock()), "a.txt", b"abc") == b"abc"
    store = opened(StoreClock(system=lambda: time.time() + off))
    for _ in range(3):
        assert b"".join([chunk async for chunk in await store.read("a.txt", 1, 2)]) == b"bc"


async def test_another_refusal_stays_one(opened: Open) -> None:
    with pytest.raises(Problem, match="file store"):
        await stored(opened(StoreClock(), "not the key"), "a.txt", b"abc")


def test_an_invalid_date_is_ignored() -> None:
    clock = StoreClock(system=lambda: 1000.0, monotonic=lambda: 5.0)
    for date in ("", "soon", "Thu, 99 Nov 2026 17:00:00 GMT"):
        clock.update(date)
    assert clock().timestamp() == 1000.0
    clock.update("Thu, 01 Jan 1970 01:00:00 GMT")
    assert clock().timestamp() == 3600.0
