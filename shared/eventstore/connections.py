"""Connections to PostgreSQL: their names, and the bounds on the time that anything on them may take.

There are three kinds of bounds, because each of them misses some failures:

- The server's (`statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout`): a query that takes too
  long, a lock that is held elsewhere, a client that froze with a transaction open. With
  `client_connection_check_interval`, the server notices during a query that its client has gone.
- The kernel's (`tcp_user_timeout`, keepalives): a host that vanished.
- The client's (`within`): a server that is stopped, or a proxy that forwards nothing, still answers TCP; only a timer
  of the client detects that. On cancellation, psycopg asks the server to cancel the query, which takes up to ten
  seconds with such a server. So the connection is cut instead, and what waits on it fails at once.

The first two are parameters of libpq, so an operator may set them in `DATABASE_URL`, which overrides the defaults here:
`?connect_timeout=5&options=-c%20lock_timeout%3D2s`. Configure a pooler that rejects `options` to ignore them.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

TRANSIENT_ERRORS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
    OSError,
)
"""Errors that may not recur over a new connection: the server is down, silent, starting, or a standby."""

COMMITS_WITHIN = 30.0
"""Seconds for a commit over a connection whose statements have no bound."""
STALLED = 0.5
"""A timer that is late by more seconds means that this process was suspended: a response may wait to be read."""
GRACE = 1.0
"""Seconds in which that response must be read then."""


class NoAnswer(psycopg.OperationalError):
    """PostgreSQL was silent for too long, and the connection was cut. The statement may have been executed."""


@dataclass(frozen=True)
class Bounds:
    """Seconds; None means no bound."""

    connect: int = 3
    statement: float | None = 5.0
    lock: float | None = 3.0
    idle_in_transaction: float | None = 8.0
    """So long a leader that freezes in a transaction keeps its locks: less than the TTL of a lease."""
    tcp: float = 5.0
    """For data that is not acknowledged, and for a connection that does not answer keepalives."""


READS = Bounds()
"""For queries whose result a client waits for."""
APPENDS = Bounds(statement=4.5, lock=4.0)
"""For the writer. Shorter than the writer's own bound, because the server's error proves that nothing was done."""
WORK = Bounds(statement=30.0, lock=5.0)
"""For followers that write batches (projector, consumers, processes), and other work that no client waits for."""
LONG = Bounds(statement=None, lock=5.0, idle_in_transaction=60.0)
"""For migrations, rebuilds and operators' commands: long statements, but short waits for locks, since others queue."""


def parameters(dsn: str, purpose: str, bounds: Bounds = READS) -> dict[str, Any]:
    """Parameters for libpq: the DSN's, and defaults for those that it lacks."""
    settings = conninfo_to_dict(dsn)
    name = settings.pop("application_name", None) or "emprops"
    defaults = {
        "connect_timeout": bounds.connect,
        "tcp_user_timeout": round(bounds.tcp * 1000),
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
    }
    options = " ".join(
        f"-c {setting}={round(seconds * 1000)}"
        for setting, seconds in (
            ("statement_timeout", bounds.statement),
            ("lock_timeout", bounds.lock),
            ("idle_in_transaction_session_timeout", bounds.idle_in_transaction),
            ("client_connection_check_interval", 1.0),
        )
        if seconds is not None
    )
    # The later of two settings with the same name takes effect.
    settings["options"] = f"{options} {settings.get('options') or ''}".strip()
    return {**defaults, **settings, "application_name": f"{name} {purpose}"}


async def connect(
    dsn: str, purpose: str, bounds: Bounds = READS, *, autocommit: bool = False, prepare_threshold: int | None = 5
) -> psycopg.AsyncConnection:
    """A connection outside of any pool. `purpose` is a part of the application name that operators see."""
    try:
        return await psycopg.AsyncConnection.connect(
            autocommit=autocommit, prepare_threshold=prepare_threshold, **parameters(dsn, purpose, bounds)
        )
    except asyncio.CancelledError as cancelled:
        # Its traceback holds the half-open connection as long as the task exists. The server would wait for the client
        # for a minute, and so would everything that waits for all server processes (DROP DATABASE).
        raise cancelled.with_traceback(None) from None


@contextlib.asynccontextmanager
async def connected(
    dsn: str, purpose: str, bounds: Bounds = READS, *, autocommit: bool = False, prepare_threshold: int | None = 5
) -> AsyncIterator[psycopg.AsyncConnection]:
    """`connect` for a block: commits at its end, in bounded time; if the block raises, only closes the connection.

    psycopg's own `async with` would send a rollback first, and wait for a silent server without a bound. The server
    rolls a transaction back when its connection is closed.
    """
    connection = await connect(dsn, purpose, bounds, autocommit=autocommit, prepare_threshold=prepare_threshold)
    try:
        yield connection
        async with within(bounds.statement or COMMITS_WITHIN, connection):
            await connection.commit()
    finally:
        await connection.close()


def connect_sync(
    dsn: str, purpose: str, bounds: Bounds = READS, *, autocommit: bool = False
) -> "psycopg.Connection[tuple[Any, ...]]":
    """`connect` for code that is not asynchronous."""
    return psycopg.connect(autocommit=autocommit, **parameters(dsn, purpose, bounds))


def cut(connection: "psycopg.AsyncConnection | psycopg.Connection[Any]") -> None:
    """Shuts a connection down at once; what waits on it fails with OperationalError."""
    # Only psycopg may close its file descriptor: once it is closed, the number may belong to another file.
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


async def readable(connection: psycopg.AsyncConnection, seconds: float) -> bool:
    """Waits until the server has sent something or closed the connection; returns False after `seconds`.

    psycopg's own wait for notifications would wake up ten times a second.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()

    def end(*, result: bool) -> None:
        if not future.done():
            future.set_result(result)

    descriptor = connection.fileno()
    loop.add_reader(descriptor, partial(end, result=True))
    timer = loop.call_later(seconds, partial(end, result=False))
    try:
        return await future
    finally:
        timer.cancel()
        loop.remove_reader(descriptor)


class Within:
    """The context manager of `within`. Used for each query: a class takes half the time of a generator."""

    __slots__ = ("_connection", "_due", "_is_over", "_loop", "_seconds", "_timer")

    def __init__(self, seconds: float, connection: psycopg.AsyncConnection) -> None:
        self._seconds, self._connection, self._is_over = seconds, connection, False

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + self._seconds
        self._timer = self._loop.call_later(self._seconds, self._check)

    async def __aexit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self._timer.cancel()
        if self._is_over and isinstance(error, psycopg.Error):
            raise NoAnswer(f"PostgreSQL has not answered for {self._seconds:.3g} s") from error

    def _check(self) -> None:
        if self._loop.time() - self._due > STALLED:
            self._timer = self._loop.call_later(GRACE, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self._is_over = True
        cut(self._connection)


def within(seconds: float, connection: psycopg.AsyncConnection) -> Within:
    """Cuts the connection when the `async with` block takes longer than `seconds`.

    The error that this causes is raised as NoAnswer.
    """
    return Within(seconds, connection)


@contextlib.contextmanager
def within_sync(seconds: float, connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """`within` for code that is not asynchronous."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        cut(connection)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except psycopg.Error as error:
        if is_over.is_set():
            raise NoAnswer(f"PostgreSQL has not answered for {seconds:.3g} s") from error
        raise
    finally:
        timer.cancel()
