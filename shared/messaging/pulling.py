"""Pulling from a JetStream consumer: the documented requests and answers, over nats-py's core client.

nats-py's own `fetch` has no bound in bytes, takes a stored message whose headers begin like a status for a status, and
can't tell a silent server from an empty stream. Here the server is asked for heartbeats. A reply without an
acknowledgement subject is a status of the server; any other is a message, even if its headers look like a status.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.handling.window import Window

DELIVERY = "$JS.ACK."
"""The reply subject of every message that a consumer delivers begins with this."""
OVERHEAD = 1024
"""Bytes that a message counts for, beside its body."""
SEND_TIMEOUT = 5.0
"""Seconds."""


class Silent(nats.errors.Error):
    """Neither messages nor heartbeats came, though the connection is open."""


class Ended(nats.errors.Error):
    """The server no longer serves the consumer: it was deleted, or another server leads it now."""


@dataclass(frozen=True)
class PullSettings:
    batch: int = 256
    """Messages asked for at once."""
    expires: float = 30.0
    """Seconds that one request is valid; messages are delivered as soon as they are there."""
    heartbeat: float = 2.0
    """Seconds without a message after which the server sends a heartbeat."""
    missed_heartbeats: int = 2


class Pull:
    """Pulls over one connection. It asks for what the window has room for; `deliver` takes and counts each message."""

    def __init__(
        self,
        client: Client,
        stream: str,
        consumer: str,
        window: Window,
        deliver: Callable[[Msg], None],
        settings: PullSettings,
    ) -> None:
        self._client, self._window, self._deliver, self._settings = client, window, deliver, settings
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._outstanding = self._asked = 0
        self._last_received_at = 0.0
        self._turn = asyncio.Event()
        self._failure: Exception | None = None
        self._too_large = False
        self._full_at: int | None = None
        """The changes of the window when it had no room for the next message."""
        self.heartbeats: Callable[[int], None] = lambda _: None
        """Called at each heartbeat with the number of the consumer's last delivery."""

    async def run(self) -> None:
        """Pulls until it raises Silent, Ended, another nats.errors.Error, or what `deliver` raises."""
        subscription = await self._client.subscribe(self._inbox, cb=self._arrived, pending_bytes_limit=0)
        try:
            while True:
                if self._full_at is not None:
                    await self._window.wait_for_change(self._full_at)
                    self._full_at = None
                await self._window.wait_for_room(self._settings.batch // 4)
                await self._pull()
        finally:
            with contextlib.suppress(nats.errors.Error):
                async with asyncio.timeout(SEND_TIMEOUT):
                    await subscription.unsubscribe()

    async def _pull(self) -> None:
        """Sends one request; returns once all requested messages have arrived, or the request has ended."""
        batch = 1 if self._too_large else min(self._settings.batch, max(1, self._window.room))
        request = {
            "batch": batch,
            "expires": _nanoseconds(self._settings.expires),
            "idle_heartbeat": _nanoseconds(self._settings.heartbeat),
        }
        if not self._too_large:
            request["max_bytes"] = max(OVERHEAD, self._window.room_bytes)
        self._outstanding = self._asked = batch
        self._too_large = False
        self._turn.clear()
        loop = asyncio.get_running_loop()
        self._last_received_at = loop.time()
        async with asyncio.timeout(SEND_TIMEOUT):
            await self._client.publish(self._next, msgspec.json.encode(request), reply=self._inbox)
        patience, was_silent = self._settings.heartbeat * self._settings.missed_heartbeats, False
        while self._outstanding and self._failure is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience / 2):
                    await self._turn.wait()
            self._turn.clear()
            silent = loop.time() - self._last_received_at > patience
            if silent and was_silent and self._outstanding and self._failure is None:
                raise Silent(f"no message and no heartbeat for {patience:g} s")
            was_silent = silent  # checked twice: a busy process may not have read all messages that have arrived
        if self._failure is not None:
            raise self._failure

    async def _arrived(self, message: Msg) -> None:
        self._last_received_at = asyncio.get_running_loop().time()
        if not message.reply.startswith(DELIVERY):
            self._status(message.headers or {})
            return
        if self._failure is not None:
            return
        try:
            self._deliver(message)
        except Exception as error:  # noqa: BLE001 - it ends this pull, and is raised there
            self._fail(error)
        else:
            self._outstanding -= 1
            if self._outstanding <= 0:
                self._turn.set()

    def _status(self, headers: dict[str, str]) -> None:
        status, text = headers.get("Status"), headers.get("Description", "")
        if status == "100":
            try:
                self.heartbeats(int(headers.get("Nats-Last-Consumer", "0")))
            except Exception as error:  # noqa: BLE001 - it ends this pull, and is raised there
                self._fail(error)
            return
        if status in {"404", "408"} or text.startswith("Batch Completed"):
            self._end_request()
        elif text.startswith("Message Size Exceeds MaxBytes"):
            # The next message is larger than the room. It is requested again when there is more room, or else alone.
            got_some = self._outstanding < self._asked
            self._too_large = self._window.held == 0 and not got_some
            if not self._too_large and self._window.held:
                self._full_at = self._window.changes
            self._end_request()
        else:
            self._fail(Ended(f"{status} {text.strip()}"))

    def _end_request(self) -> None:
        self._outstanding = 0
        self._turn.set()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._turn.set()


def size_of(message: Msg) -> int:
    """Bytes that a message counts for in the window: its body, and OVERHEAD for the rest."""
    return len(message.data) + OVERHEAD


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
