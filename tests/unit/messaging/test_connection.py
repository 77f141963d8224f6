"""NATS_URL in parts."""

import asyncio
import contextlib

import pytest

from shared.messaging import connection
from shared.messaging.connection import Address, cancel, obedient, unless


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("nats://host:4222", Address(["nats://host:4222"])),
        ("host:4222", Address(["nats://host:4222"])),
        ("nats://user:secret@host:4222", Address(["nats://host:4222"], "user", "secret")),
        ("nats://us%40er:s%2Fcret@host", Address(["nats://host"], "us@er", "s/cret")),
        ("tls://u:p@one:1, tls://u:p@two:2", Address(["tls://one:1", "tls://two:2"], "u", "p")),
        ("nats://[::1]:4222", Address(["nats://[::1]:4222"])),
    ],
)
def test_credentials_are_taken_out_of_the_url(url: str, address: Address) -> None:
    """Servers may be logged, so they carry no password."""
    assert Address.parse(url) == address
    assert "secret" not in repr(Address.parse(url))


@pytest.mark.parametrize("url", ["", ",", "nats://", "nats://me:hunter2@"])
def test_an_url_without_a_host_is_refused(url: str) -> None:
    """The message shows the form, and not the password that was given."""
    with pytest.raises(ValueError, match="looks like nats://user:password@host:4222") as caught:
        Address.parse(url)
    assert "hunter2" not in str(caught.value)


async def test_a_swallowed_cancellation_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nats-py does here and there does not keep us running."""
    monkeypatch.setattr(connection, "CANCEL_AGAIN_AFTER", 0.01)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1

    task = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    await cancel(task)
    assert (task.done(), swallowed) == (True, 2)


async def test_obedient_work_ends_when_we_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result comes through; and when we are cancelled, so is it, until it ends."""
    monkeypatch.setattr(connection, "CANCEL_AGAIN_AFTER", 0.01)

    async def answer() -> int:
        return 42

    assert await obedient(answer()) == 42
    swallowed = asyncio.Event()

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        swallowed.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(obedient(stubborn()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=5)
    assert task.cancelled()
    assert swallowed.is_set()


async def test_work_ends_when_the_event_comes() -> None:
    """`unless` cancels the work; what the work raises by itself comes through."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)

    async def endless() -> None:
        await asyncio.Event().wait()

    await asyncio.wait_for(unless(event, endless()), 5)

    async def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await unless(asyncio.Event(), broken())
