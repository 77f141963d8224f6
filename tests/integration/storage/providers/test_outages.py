"""A store that is down or does not answer: each call says so in time, and works again later."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from shared.contracts.problem import Problem
from tests.support.file_stores.subject import Subject
from tests.support.load import busy_seconds
from tests.support.silence import Mode, SilentProxy

MIB = 1024 * 1024
SECONDS = 20.0
"""Of a call whose client waits a second for an answer, and repeats requests."""


@pytest.fixture
def proxy(subject: Subject) -> SilentProxy:
    if subject.proxy is None:
        pytest.skip("a folder has no connection")
    return subject.proxy


async def list_all(subject: Subject) -> None:
    await subject.paths()


CALLS: dict[str, Callable[[Subject], Awaitable[object]]] = {
    "small upload": lambda subject: subject.put("b.txt", b"x"),
    "large upload": lambda subject: subject.put("b.txt", b"x" * 17 * MIB),
    "read": lambda subject: subject.get("a.txt", 0, 6),
    "head": lambda subject: subject.store.head("a.txt"),
    "delete": lambda subject: subject.store.delete("gone.txt"),
    "copy": lambda subject: subject.store.copy("a.txt", "b.txt"),
    "list": list_all,
    "try to write": lambda subject: subject.store.try_to_write(".health/x"),
}


async def outcome(call: Callable[[Subject], Awaitable[object]], subject: Subject) -> tuple[str, bool]:
    """The code of the problem that it raises, and whether that was in time."""
    begin = time.monotonic()
    with pytest.raises(Problem) as raised:
        await call(subject)
    return raised.value.code, time.monotonic() - begin < SECONDS + busy_seconds()


@pytest.mark.parametrize("mode", ["cut", "silent"])
async def test_with_the_store_out_each_call_says_so_in_time(subject: Subject, proxy: SilentProxy, mode: Mode):
    await subject.put("a.txt", b"before")
    proxy.mode = mode
    outcomes = await asyncio.gather(*(outcome(call, subject) for call in CALLS.values()))
    assert dict(zip(CALLS, outcomes, strict=True)) == dict.fromkeys(CALLS, ("UNAVAILABLE", True))
    proxy.mode = "pass"
    assert await subject.get("a.txt") == b"before"
    await subject.put("c.txt", b"after")
    assert await subject.get("c.txt") == b"after"


async def test_an_upload_during_which_the_store_goes_away_stores_nothing(subject: Subject, proxy: SilentProxy):
    upload = subject.store.upload("a.bin", "text/plain")
    await upload.write(b"x" * 9 * MIB)
    proxy.mode = "cut"

    async def go_on() -> None:
        await upload.write(b"x" * 40 * MIB)
        await upload.complete()

    with pytest.raises(Problem, match="file store"):
        await go_on()
    await upload.abort()
    proxy.mode = "pass"
    assert await subject.paths() == []
