"""Named numbers that grow, shared by the processes of a service: how far the store and each projection have come.

A waiter is woken at once: directly when its own process advances the number, by PostgreSQL's NOTIFY when another one
does. A notification is sent after the commit that it announces, over a connection of its own, and several are sent as
one: a NOTIFY inside the append's transaction would hold a cluster-wide lock during its fsync. When a notification is
lost (its sender died), a waiter queries the database after `FALLBACK` seconds.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable

import psycopg

from shared.backoff import Backoff
from shared.eventstore.connections import connected, within
from shared.stopping import together

CHANNEL = "watermarks"
HEAD_WATERMARK = "events"
"""The watermark of the position up to which events are recorded."""
INTERVAL = 0.01
"""Least time in seconds between two notifications of one process: one connection's cost stays small under load."""
FALLBACK = 1.0
ANSWERS_WITHIN = 3.0
LOOK_EVERY = 5.0
"""Seconds between two checks whether the listening connection is still alive."""


class Watermarks:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._values: defaultdict[str, int] = defaultdict(int)
        self._waiters: defaultdict[str, set[tuple[int, asyncio.Future[None]]]] = defaultdict(set)
        self._sent: defaultdict[str, int] = defaultdict(int)
        self._unsent: dict[str, int] = {}
        self._to_send = asyncio.Event()

    def value(self, name: str) -> int:
        return self._values[name]

    def advance(self, name: str, value: int) -> None:
        """Raises the number in this process at once, and in the others soon."""
        self._raise(name, value)
        # Also when this process knew the value already: a tailer here may have read it first, and the others not.
        if value > self._sent[name]:
            self._sent[name] = self._unsent[name] = value
            self._to_send.set()

    def observe(self, name: str, value: int) -> None:
        """Raises the number in this process only: it was read from the database, where the others find it, too."""
        self._raise(name, value)

    def lower(self, name: str, value: int) -> None:
        """Lowers a number that is too high because the store went back."""
        self._values[name] = min(self._values[name], value)
        self._sent[name] = min(self._sent[name], value)

    def forget(self) -> None:
        """Forgets all numbers because the store went back; they grow again from what is read and announced."""
        self._values.clear()
        self._sent.clear()
        self._unsent.clear()

    async def wait_beyond(self, name: str, value: int, timeout: float = FALLBACK) -> bool:  # noqa: ASYNC109
        """Waits until the number is greater than `value`; False after `timeout` seconds (then query the database)."""
        return await self.wait_for(name, value + 1, timeout)

    async def wait_for(self, name: str, value: int, timeout: float = FALLBACK) -> bool:  # noqa: ASYNC109
        """Waits until the number is at least `value`; False after `timeout` seconds."""
        if self._values[name] >= value:
            return True
        loop = asyncio.get_running_loop()
        waiter = (value, loop.create_future())
        self._waiters[name].add(waiter)
        timer = loop.call_later(timeout, _wake, waiter[1])
        try:
            await waiter[1]
        finally:
            timer.cancel()
            self._waiters[name].discard(waiter)
        return self._values[name] >= value

    def _raise(self, name: str, value: int) -> None:
        if value <= self._values[name]:
            return
        self._values[name] = value
        for least, future in self._waiters.get(name, ()):
            if least <= value:
                _wake(future)

    async def run(self) -> None:
        """Sends and receives until cancelled, and reconnects after every outage of PostgreSQL."""
        await together(self._forever(self._send), self._forever(self._receive))

    async def _forever(self, work: Callable[[psycopg.AsyncConnection], Awaitable[None]]) -> None:
        async def over_one_connection() -> None:
            async with connected(self._dsn, "watermarks", autocommit=True, prepare_threshold=0) as connection:
                await work(connection)

        await Backoff("watermarks", on=(psycopg.Error, OSError)).forever(over_one_connection)

    async def _send(self, connection: psycopg.AsyncConnection) -> None:
        async with within(ANSWERS_WITHIN, connection):
            await connection.execute("set synchronous_commit to off")
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            news, self._unsent = self._unsent, {}
            text = ",".join(f"{name}={value}" for name, value in news.items())
            async with within(ANSWERS_WITHIN, connection):
                await connection.execute("select pg_notify(%s, %s)", (CHANNEL, text))
            await asyncio.sleep(INTERVAL)

    async def _receive(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            async with within(ANSWERS_WITHIN, connection):  # repeated: only a query shows that the server is silent
                await connection.execute(f"listen {CHANNEL}")
            async for notification in connection.notifies(timeout=LOOK_EVERY):
                for pair in notification.payload.split(","):
                    name, _, value = pair.rpartition("=")
                    with contextlib.suppress(ValueError):
                        self._raise(name, int(value))


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
