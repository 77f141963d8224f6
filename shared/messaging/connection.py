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
"""Seconds between two attempts to connect to the same server."""
CONNECT_TIMEOUT = 2
"""Seconds for one attempt to connect."""
PING_INTERVAL = 2
"""Seconds; the connection to a server that does not answer two pings is closed."""
SELDOM = 20
"""The ping interval of connections on which silence is detected by heartbeats, or by a timeout for each answer."""

FLUSH_TIMEOUT = 1
CLOSE_TIMEOUT = 2.0
"""Seconds that closing may take: a silent server does not accept what is still to be sent."""
PRIVATE_INBOX = "_INBOX_"
"""The prefix of a service's reply subjects, followed by its user's name: no other user may subscribe to them."""
LOG_AGAIN_AFTER = 30.0
"""Seconds for which the same error is not logged again: reconnecting is tried five times a second."""

log = structlog.get_logger()

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Address:
    """The parts of a NATS_URL: the servers without credentials, so that they may be logged."""

    servers: list[str]
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "Address":
        """`nats://user:password@host:port`, or several, comma-separated, with the credentials of the first.

        Raises ValueError.
        """
        urls = [part for part in url.split(",") if part.strip()]
        parts = [urlsplit(part if "://" in part else f"nats://{part}") for part in urls]
        if not parts or not all(part.hostname for part in parts):
            raise ValueError("a NATS_URL looks like nats://user:password@host:4222")
        servers = [f"{part.scheme.strip()}://{part.netloc.rpartition('@')[2]}" for part in parts]
        user, password = parts[0].username, parts[0].password
        return cls(servers, unquote(user) if user else None, unquote(password) if password else None)


def _options(name: str, lost: asyncio.Event | None, ping_every: int) -> dict[str, Any]:
    """nats-py's options: it reconnects after every outage, which is logged.

    `lost` is set when the connection breaks, for callers that start over instead of using the new connection.
    """
    logged_at: dict[str, float] = {}

    async def on_error(error: Exception) -> None:
        text, now = str(error) or repr(error), time.monotonic()
        if now - logged_at.get(text, -LOG_AGAIN_AFTER) >= LOG_AGAIN_AFTER:
            logged_at[text] = now
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
    """A connected client, called `name` in the server's lists. Waits for a server without a bound, or `within` seconds.

    `private`: replies come to an inbox that only this URL's user may subscribe to. Raises TimeoutError.
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
    """Sends what is buffered, and closes; in bounded time, even if the server can't be reached or is silent."""
    with contextlib.suppress(Exception):
        if client.is_connected:
            await client.flush(timeout=FLUSH_TIMEOUT)
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await client.close()
