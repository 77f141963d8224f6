"""Connections to NATS that come back by themselves."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

RECONNECT_PAUSE = 0.2
"""Seconds between two tries of one server."""
CONNECT_TIMEOUT = 3
PING_INTERVAL = 5
"""Seconds; a server that does not answer two pings counts as gone."""

FLUSH_TIMEOUT = 1
DELIVERY = b"$JS.ACK."
"""How the reply subject of every message begins that a JetStream consumer is given."""
STATUS = "Status"
SAY_AGAIN_AFTER = 30.0
"""Seconds for which the same error is not logged again: a server that is away is tried five times a second."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Address:
    """A NATS_URL in parts: the servers without credentials, so that they may be logged."""

    servers: list[str]
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "Address":
        """`nats://user:password@host:port`, several with commas between; the first one's credentials hold for all."""
        parts = [urlsplit(each if "://" in each else f"nats://{each}") for each in url.split(",") if each.strip()]
        if not parts or not all(part.hostname for part in parts):
            raise ValueError("a NATS_URL looks like nats://user:password@host:4222")
        servers = [f"{part.scheme.strip()}://{part.netloc.rpartition('@')[2]}" for part in parts]
        user, password = parts[0].username, parts[0].password
        return cls(servers, unquote(user) if user else None, unquote(password) if password else None)


class TolerantClient(Client):
    """nats-py's client, whose read loop survives every message that a server can deliver.

    In 2.16 a subject or a status line that is not UTF-8 ends the loop, at each delivery again; and a stored message
    whose headers begin like the server's own status messages is taken for one, so that a pull never gets past it.
    """

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            return None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg | None:
        if headers and reply.startswith(DELIVERY):
            headers = {name: value for name, value in headers.items() if name != STATUS}
        text = subject.decode(errors="replace")
        message: Msg | None = super()._build_message(sid, text.encode(), reply, data, headers)
        return message

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - the signature is given
        """With a server that is gone, closing would break off half-way over what can't be sent to it any more."""
        if not self.is_connected:
            self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)


def _options(name: str, lost: asyncio.Event | None = None) -> dict[str, Any]:
    """Reconnects for ever, and logs what happens.

    `lost` is set when the connection breaks: for those who rather start anew than have it repaired behind their back.
    """
    said: dict[str, float] = {}

    async def on_error(error: Exception) -> None:
        text, now = str(error) or repr(error), time.monotonic()
        if now - said.get(text, -SAY_AGAIN_AFTER) >= SAY_AGAIN_AFTER:
            said[text] = now
            log.warning("nats_error", connection=name, error=text)

    async def on_loss() -> None:
        if lost:
            lost.set()

    async def on_reconnect() -> None:
        log.info("nats_reconnected", connection=name)

    return {
        "name": name,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": RECONNECT_PAUSE,
        "connect_timeout": CONNECT_TIMEOUT,
        "ping_interval": PING_INTERVAL,
        "max_outstanding_pings": 2,
        "error_cb": on_error,
        "disconnected_cb": on_loss,
        "reconnected_cb": on_reconnect,
        "closed_cb": on_loss,
        "skip_subject_validation": True,
    }


async def connect(url: str, name: str, lost: asyncio.Event | None = None) -> Client:
    """A client named `name` in the server's own lists; waits until there is a server, as long as it takes."""
    address = Address.parse(url)
    client = TolerantClient()
    options = _options(name, lost)
    await client.connect(servers=address.servers, user=address.user, password=address.password, **options)
    return client


@contextlib.asynccontextmanager
async def connected(url: str, name: str, lost: asyncio.Event | None = None) -> AsyncIterator[Client]:
    """`connect` for the length of a block."""
    client = await connect(url, name, lost)
    try:
        yield client
    finally:
        await close(client)


async def close(client: Client) -> None:
    """Sends what is waiting, and closes; a server that is gone does not keep it."""
    with contextlib.suppress(Exception):
        if client.is_connected:
            await client.flush(timeout=FLUSH_TIMEOUT)
    with contextlib.suppress(Exception):
        await client.close()
