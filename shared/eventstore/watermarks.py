"""Watermarks: named numbers that grow, such as the last positions of the store and of each projection.

The processes of a service share them. A waiter is woken at once: directly when its own process advances the number, by
PostgreSQL's NOTIFY when another one does. A notification is sent after the commit that it announces, over a connection
of its own, and several are sent as one: a NOTIFY inside the append's transaction would hold a cluster-wide lock during
its fsync.

A notification is lost when its sender dies, or while the listening connection is broken. Waiters need not poll because
of that as long as this process renews its leases: each renewal also reads the store's last position
(`database_reached`), which is the number that most waiters wait for. When renewals stop, and when the listening
connection is a new one, all waiters are woken and query the database themselves; without renewals they do so every
`FALLBACK` seconds.

A listening process announces itself (`HERE`) when it starts to listen, and at intervals. A process that has received
nothing from another one for a while is alone, and sends nothing.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping

import psycopg

from shared.backoff import Backoff
from shared.eventstore.connections import connected, readable, within
from shared.stopping import run_together

CHANNEL = "watermarks"
HEAD_WATERMARK = "events"
"""The watermark of the position up to which events are recorded."""
INTERVAL = 0.01
"""Seconds between two notifications of one process, at least; those between are sent as one."""
FALLBACK = 1.0
"""Seconds after which a waiter queries the database while no renewals do."""
QUIET = 120.0
"""Seconds after which a waiter queries the database while the process renews its leases."""
RENEWAL_COUNTS_FOR = 6.0
"""Seconds after a renewal in which waiters rely on the next one: time for two."""
ANSWERS_WITHIN = 3.0
"""Seconds that a statement may take."""
ANNOUNCE_EVERY = 15.0
"""Seconds between two announcements, which also check that the listening connection is alive."""
HERE = "here"
"""The payload of an announcement."""
ALONE_AFTER = 2.5 * ANNOUNCE_EVERY
"""Seconds without a notification of another process after which this one is alone."""
SENDS_FOR = 30.0
"""Seconds for which the sending connection stays open after the last notification."""


class Watermarks:
    """The watermarks as one process knows them."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._values: defaultdict[str, int] = defaultdict(int)
        self._waiters: defaultdict[str, set[tuple[int, asyncio.Future[None]]]] = defaultdict(set)
        self._without_timeout: set[asyncio.Future[None]] = set()
        """The waiters without a timeout of their own."""
        self._reached_at = float("-inf")
        self._others_at: float | None = None
        """When another process's notification came last; at first, when this one began to listen."""
        self._listens_as: int | None = None
        """PID of the server process behind the listening connection."""
        self._sent_as: deque[int] = deque(maxlen=8)
        """PIDs of the server processes behind the newest sending connections."""
        self._counted: set[str] = set()
        """Names of the numbers that `count` has raised."""
        self._sent: defaultdict[str, int] = defaultdict(int)
        self._unsent: dict[str, int] = {}
        self._to_send = asyncio.Event()

    def value(self, name: str) -> int:
        """The number as this process knows it; 0 when it does not."""
        return self._values[name]

    def advance(self, name: str, value: int) -> None:
        """Raises the number: in this process at once, in the others by a notification."""
        self._raise(name, value)
        # Even if this process has the value already: a tailer here may have read it before the others did.
        if value > self._sent[name]:
            self._sent[name] = value
            if not self._is_alone():
                self._unsent[name] = value
                self._to_send.set()

    def observe(self, name: str, value: int) -> None:
        """Raises the number in this process only: it was read from the database, and the others read it there, too."""
        self._raise(name, value)

    def lower(self, name: str, value: int) -> None:
        """Lowers a number that is too high because the store went back."""
        self._values[name] = min(self._values[name], value)
        self._sent[name] = min(self._sent[name], value)

    def forget(self) -> None:
        """Resets all numbers because the store went back; reads and notifications raise them again."""
        self._values = defaultdict(int, {name: self._values[name] for name in self._counted})
        self._sent.clear()
        self._unsent.clear()
        self._wake_without_timeout()

    def count(self, name: str) -> None:
        """Raises the number by one, in this process. A notification with a name only does this, too."""
        self._counted.add(name)
        self._raise(name, self._values[name] + 1)

    def database_reached(self, head: int) -> None:
        """A renewal has just reached the database; its last position is `head`."""
        self._reached_at = asyncio.get_running_loop().time()
        self.observe(HEAD_WATERMARK, head)

    def notifications_lost(self) -> None:
        """Wakes the waiters to query the database: renewals have stopped, so notifications may be lost unnoticed."""
        self._reached_at = float("-inf")
        self._wake_without_timeout()

    async def wait_beyond(self, name: str, value: int, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - a timeout is a result, not an error
        """Waits until the number is greater than `value`. Returns False when the caller should query the database.

        That is after `timeout` seconds; by default, when notifications may have been lost (see the module).
        """
        return await self.wait_for_any({name: value + 1}, timeout)

    async def wait_for(self, name: str, value: int, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - a timeout is a result, not an error
        """Waits until the number is at least `value`. Returns False as `wait_beyond` does."""
        return await self.wait_for_any({name: value}, timeout)

    async def wait_for_any(self, values: Mapping[str, int], timeout: float | None = None) -> bool:  # noqa: ASYNC109 - a timeout is a result, not an error
        """Waits until one of the numbers is at least its value in `values`. Returns False as `wait_beyond` does."""
        if self._has_any(values):
            return True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        for name, value in values.items():
            self._waiters[name].add((value, future))
        if timeout is None:
            self._without_timeout.add(future)
            timeout = QUIET if loop.time() - self._reached_at < RENEWAL_COUNTS_FOR else FALLBACK
        timer = loop.call_later(timeout, _wake, future)
        try:
            await future
        finally:
            timer.cancel()
            self._without_timeout.discard(future)
            for name, value in values.items():
                self._waiters[name].discard((value, future))
        return self._has_any(values)

    def _has_any(self, values: Mapping[str, int]) -> bool:
        return any(self._values[name] >= value for name, value in values.items())

    def _wake_without_timeout(self) -> None:
        for future in self._without_timeout:
            _wake(future)

    def _raise(self, name: str, value: int) -> None:
        if value <= self._values[name]:
            return
        self._values[name] = value
        for least, future in self._waiters.get(name, ()):
            if least <= value:
                _wake(future)

    async def run(self) -> None:
        """Sends and receives until cancelled, and reconnects after every outage of PostgreSQL."""
        await run_together(self._repeat(self._send), self._repeat(self._receive))

    async def _repeat(self, over_one_connection: Callable[[], Awaitable[None]]) -> None:
        await Backoff("watermarks", on=(psycopg.Error, OSError)).repeat(over_one_connection)

    def _connected(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncConnection]:
        return connected(self._dsn, "watermarks", autocommit=True, prepare_threshold=0)

    async def _send(self) -> None:
        """Sends notifications over a connection that is closed after SENDS_FOR seconds without any."""
        await self._to_send.wait()
        async with self._connected() as connection:
            self._sent_as.append(connection.info.backend_pid)
            async with within(ANSWERS_WITHIN, connection):
                await connection.execute("set synchronous_commit to off")
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(SENDS_FOR):
                        await self._to_send.wait()
                    self._to_send.clear()
                    unsent, self._unsent = self._unsent, {}
                    text = ",".join(f"{name}={value}" for name, value in unsent.items())
                    try:
                        async with within(ANSWERS_WITHIN, connection):
                            await connection.execute("select pg_notify(%s, %s)", (CHANNEL, text))
                    except BaseException:
                        self._send_again(unsent)
                        raise
                    await asyncio.sleep(INTERVAL)

    def _send_again(self, unsent: Mapping[str, int]) -> None:
        """Sends them over the next connection, without those that `lower` or `forget` has reset meanwhile."""
        valid = {name: value for name, value in unsent.items() if value <= self._sent[name]}
        self._unsent = valid | self._unsent
        self._to_send.set()

    def _note_other_process(self) -> None:
        """Another process listens; if this one was alone before, it sends all of its numbers."""
        if self._is_alone():
            self._unsent.update(self._sent)
            self._to_send.set()
        self._others_at = asyncio.get_running_loop().time()

    def _is_alone(self) -> bool:
        return self._others_at is not None and asyncio.get_running_loop().time() - self._others_at > ALONE_AFTER

    async def _receive(self) -> None:
        async with self._connected() as connection:
            self._listens_as = connection.info.backend_pid
            self._others_at = asyncio.get_running_loop().time()
            is_new = True
            async with within(ANSWERS_WITHIN, connection):
                await connection.execute("set synchronous_commit to off")
                await connection.execute(f"listen {CHANNEL}")
            while True:
                async with within(ANSWERS_WITHIN, connection):  # LISTEN again: only a statement detects a silent server
                    await connection.execute(f"notify {CHANNEL}, '{HERE}'")
                    await connection.execute(f"listen {CHANNEL}")
                await self._take(connection)  # notifications that came with the response
                if is_new:
                    self._wake_without_timeout()  # earlier notifications did not reach this connection
                    is_new = False
                until = asyncio.get_running_loop().time() + ANNOUNCE_EVERY
                while await readable(connection, until - asyncio.get_running_loop().time()):
                    await self._take(connection)

    async def _take(self, connection: psycopg.AsyncConnection) -> None:
        async for notification in connection.notifies(timeout=INTERVAL):
            if notification.pid != self._listens_as and notification.pid not in self._sent_as:
                self._note_other_process()
            for pair in notification.payload.split(","):
                name, is_number, value = pair.rpartition("=")
                if pair == HERE:
                    continue
                if not is_number:
                    self.count(pair)
                    continue
                with contextlib.suppress(ValueError):
                    self._raise(name, int(value))


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
