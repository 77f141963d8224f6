"""Named numbers that grow, shared by the processes of a service: how far the store and each projection have come.

A waiter is woken at once: directly when its own process advances the number, by PostgreSQL's NOTIFY when another one
does. A notification is sent after the commit that it announces, over a connection of its own, and several are sent as
one: a NOTIFY inside the append's transaction would hold a cluster-wide lock during its fsync.

A notification is lost when its sender dies, or while the listening connection is broken. No waiter polls because of
that as long as this process renews its leases: each renewal also reads the store's last position (`heard`), which is
the number that most waiters wait for. When renewals stop, and when the listening connection is a new one, all waiters
are woken and query the database themselves; without renewals they do so every `FALLBACK` seconds.

A process that listens says so (`HERE`) when it begins to, and at intervals. Who has heard of no other process for a
while sends nothing: a process alone would only tell itself.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping

import psycopg

from shared.backoff import Backoff
from shared.eventstore.connections import connected, readable, within
from shared.stopping import together

CHANNEL = "watermarks"
HEAD_WATERMARK = "events"
"""The watermark of the position up to which events are recorded."""
INTERVAL = 0.01
"""Least time in seconds between two notifications of one process: one connection's cost stays small under load."""
FALLBACK = 1.0
"""Seconds after which a waiter queries the database when nobody else does for it."""
QUIET = 120.0
"""The same, while the process renews its leases."""
HEARD_FOR = 6.0
"""Seconds for which a renewal counts: two come in this time."""
ANSWERS_WITHIN = 3.0
LOOK_EVERY = 15.0
"""Seconds between two checks whether the listening connection is still alive."""
HERE = "here"
ALONE_AFTER = 2.5 * LOOK_EVERY
"""Seconds without a notification of another process after which there is none."""
SENDS_FOR = 30.0
"""Seconds after the last notification for which the connection that sends them stays open."""


class Watermarks:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._values: defaultdict[str, int] = defaultdict(int)
        self._waiters: defaultdict[str, set[tuple[int, asyncio.Future[None]]]] = defaultdict(set)
        self._patient: set[asyncio.Future[None]] = set()
        """Those of the waiters that have no time of their own after which they query the database."""
        self._heard_at = float("-inf")
        self._others_at: float | None = None
        """When another process was heard last; at first, when this one began to listen."""
        self._listens_as: int | None = None
        """Server process of the connection that listens."""
        self._sent_as: deque[int] = deque(maxlen=8)
        """Server processes of the connections that sent, the newest."""
        self._counted: set[str] = set()
        """Names of numbers that count signals: see `count`."""
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
            self._sent[name] = value
            if not self._is_alone():
                self._unsent[name] = value
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
        self._values = defaultdict(int, {name: self._values[name] for name in self._counted})
        self._sent.clear()
        self._unsent.clear()
        self._wake_patient()

    def count(self, name: str) -> None:
        """Raises the number by one, in this process. A notification of a name without a number does this."""
        self._counted.add(name)
        self._raise(name, self._values[name] + 1)

    def heard(self, head: int) -> None:
        """The database was reached just now, and its last position is `head`."""
        self._heard_at = asyncio.get_running_loop().time()
        self.observe(HEAD_WATERMARK, head)

    def unheard(self) -> None:
        """The database can't be reached, or notifications may have been lost: waiters must see for themselves."""
        self._heard_at = float("-inf")
        self._wake_patient()

    async def wait_beyond(self, name: str, value: int, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Waits until the number is greater than `value`; False when the caller had better query the database.

        That is after `timeout` seconds; by default, when notifications may have been lost (see above).
        """
        return await self.wait_for_any({name: value + 1}, timeout)

    async def wait_for(self, name: str, value: int, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Waits until the number is at least `value`; False as `wait_beyond`."""
        return await self.wait_for_any({name: value}, timeout)

    async def wait_for_any(self, values: Mapping[str, int], timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Waits until one of the numbers is at least the value given with it; False as `wait_beyond`."""
        if self._has_any(values):
            return True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        for name, value in values.items():
            self._waiters[name].add((value, future))
        if timeout is None:
            self._patient.add(future)
            timeout = QUIET if loop.time() - self._heard_at < HEARD_FOR else FALLBACK
        timer = loop.call_later(timeout, _wake, future)
        try:
            await future
        finally:
            timer.cancel()
            self._patient.discard(future)
            for name, value in values.items():
                self._waiters[name].discard((value, future))
        return self._has_any(values)

    def _has_any(self, values: Mapping[str, int]) -> bool:
        return any(self._values[name] >= value for name, value in values.items())

    def _wake_patient(self) -> None:
        for future in self._patient:
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
        await together(self._forever(self._send), self._forever(self._receive))

    async def _forever(self, over_one_connection: Callable[[], Awaitable[None]]) -> None:
        await Backoff("watermarks", on=(psycopg.Error, OSError)).forever(over_one_connection)

    def _connected(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncConnection]:
        return connected(self._dsn, "watermarks", autocommit=True, prepare_threshold=0)

    async def _send(self) -> None:
        """Sends what there is, over a connection that is closed when there was nothing for a while."""
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
                    news, self._unsent = self._unsent, {}
                    text = ",".join(f"{name}={value}" for name, value in news.items())
                    try:
                        async with within(ANSWERS_WITHIN, connection):
                            await connection.execute("select pg_notify(%s, %s)", (CHANNEL, text))
                    except BaseException:
                        self._send_again(news)
                        raise
                    await asyncio.sleep(INTERVAL)

    def _send_again(self, news: Mapping[str, int]) -> None:
        """The connection was lost: the next one sends them, but for those that were forgotten meanwhile."""
        known = {name: value for name, value in news.items() if value <= self._sent[name]}
        self._unsent = known | self._unsent
        self._to_send.set()

    def _hear_another(self) -> None:
        """Another process is there; if there was none before, it is told everything."""
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
                async with within(ANSWERS_WITHIN, connection):  # repeated: only a query shows that the server is silent
                    await connection.execute(f"notify {CHANNEL}, '{HERE}'")
                    await connection.execute(f"listen {CHANNEL}")
                await self._take(connection)  # what came together with the answer
                if is_new:
                    self._wake_patient()  # what was sent before has not come here
                    is_new = False
                until = asyncio.get_running_loop().time() + LOOK_EVERY
                while await readable(connection, until - asyncio.get_running_loop().time()):
                    await self._take(connection)

    async def _take(self, connection: psycopg.AsyncConnection) -> None:
        async for notification in connection.notifies(timeout=INTERVAL):
            if notification.pid != self._listens_as and notification.pid not in self._sent_as:
                self._hear_another()
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
