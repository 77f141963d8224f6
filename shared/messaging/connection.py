"""Connections to NATS that reconnect."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from nats.aio.client import Client

RECONNECT_PAUSE = 0.2
"""Seconds between two tries of one server."""
CONNECT_TIMEOUT = 2
PING_INTERVAL = 2
"""Seconds; a server that does not answer two pings counts as gone."""
SELDOM = 20
"""The same for connections over which silence is noticed otherwise: by heartbeats, or by a bound for each answer."""

FLUSH_TIMEOUT = 1
CLOSE_TIMEOUT = 2.0
"""Seconds that closing may take: a silent server would not accept what is still to be sent."""
PRIVATE_INBOX = "_INBOX_"
"""How answers to a service begin, followed by its user's name: no other user may listen to them."""
SAY_AGAIN_AFTER = 30.0
"""Seconds for which the same error is not logged again: a server that is away is tried five times a second."""

log = structlog.get_logger()

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


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


def _options(name: str, lost: asyncio.Event | None, ping_every: int) -> dict[str, Any]:
    """Reconnects after every outage, and logs it.

    `lost` is set when the connection breaks, for callers that must start anew then, instead of using the repaired one.
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
        "ping_interval": ping_every,
        "max_outstanding_pings": 2,
        "error_cb": on_error,
        "disconnected_cb": on_loss,
        "reconnected_cb": on_reconnect,
        "closed_cb": on_loss,
    }


async def connect(
    url: str,
    name: str,
    lost: asyncio.Event | None = None,
    *,
    within: float | None = None,
    private: bool = True,
    ping_every: int = PING_INTERVAL,
) -> Client:
    """A client named `name` in the server's own lists; waits for a server, for `within` seconds or as long as it takes.

    `private`: answers come to an inbox that only this URL's user may listen to. Raises TimeoutError.
    """
    address = Address.parse(url)
    client = Client()
    options = _options(name, lost, ping_every)
    if private and address.user and _TOKEN.fullmatch(address.user):
        options["inbox_prefix"] = PRIVATE_INBOX + address.user
    try:
        async with asyncio.timeout(within):
            await client.connect(servers=address.servers, user=address.user, password=address.password, **options)
    except BaseException:
        await close(client)
        raise
    return client


@contextlib.asynccontextmanager
async def connected(
    url: str,
    name: str,
    lost: asyncio.Event | None = None,
    *,
    within: float | None = None,
    ping_every: int = PING_INTERVAL,
) -> AsyncIterator[Client]:
    """`connect` for the length of a block."""
    client = await connect(url, name, lost, within=within, ping_every=ping_every)
    try:
        yield client
    finally:
        await close(client)


async def close(client: Client) -> None:
    """Sends what is waiting, and closes, in bounded time also when the server is gone or silent."""
    with contextlib.suppress(Exception):
        if client.is_connected:
            await client.flush(timeout=FLUSH_TIMEOUT)
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await client.close()
