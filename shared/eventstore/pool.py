"""A pool of connections for reading: it lends none that the server has closed, and bounds every wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.eventstore.arrays import register
from shared.eventstore.connections import READS, NoAnswer, parameters, within
from shared.eventstore.records import StoreUnavailable

READ_WITHIN = 5.0
"""Seconds after which a read fails, the wait for a connection included."""
FIRST_TRY_SHARE = 0.6
"""The share of the first try in READ_WITHIN; the rest is for a second try over another connection."""
GET_AGAIN_AFTER = 1.0
"""Seconds after which a waiting reader requests a connection again, so that the pool tries to connect."""
IDLE_SECONDS = 3.0
"""So often the pool closes one connection, if not all were needed in the meantime; one stays open."""
MAX_LOST = 3
"""Connections that one query may lose before it fails: when the server stops, they end one after another."""


class ReadingPool(AsyncConnectionPool):
    """Connections in autocommit mode, each lent for one query. Open the pool with `async with`.

    After a restart of the server, the pool holds dead connections, and each would make one reader fail. psycopg's own
    `check` pauses longer after each of them; here dead ones are skipped at once. When one connection was silent, all
    are replaced, since they lead to the same server.
    """

    def __init__(
        self, dsn: str, size: int, on_connect: Callable[[psycopg.AsyncConnection], Awaitable[None]] | None = None
    ) -> None:

        async def configure(connection: psycopg.AsyncConnection) -> None:
            register(connection)
            if on_connect is not None:
                await on_connect(connection)

        settings = {"autocommit": True, "prepare_threshold": 0, **parameters(dsn, "reader", READS)}
        # The pool tries twice to connect and then gives up until the next request: with more tries, its pauses would
        # double, and become too long.
        super().__init__(
            min_size=1,
            max_size=size,
            max_idle=IDLE_SECONDS,
            open=False,
            timeout=READ_WITHIN,
            reconnect_timeout=0.0,
            configure=configure,
            kwargs=settings,
        )
        self._drained_last = 0.0

    async def getconn(self, timeout: float | None = None) -> psycopg.AsyncConnection:  # noqa: ASYNC109 - psycopg's
        """A connection that the server has not closed. Raises PoolTimeout after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.timeout if timeout is None else timeout)
        while True:
            left = deadline - loop.time()
            try:
                connection = await super().getconn(min(left, GET_AGAIN_AFTER))
            except PoolTimeout:
                if loop.time() >= deadline:
                    raise
                continue
            if _is_alive(connection):
                return connection
            await self.putconn(connection)

    @contextlib.asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[psycopg.AsyncConnection]:  # noqa: ASYNC109 - psycopg's
        """A connection for a block that ends within `timeout` seconds, the wait for the connection included.

        Raises PoolTimeout or NoAnswer, both of them psycopg.OperationalError.
        """
        loop = asyncio.get_running_loop()
        timeout = self.timeout if timeout is None else timeout
        deadline = loop.time() + timeout
        try:
            async with super().connection(timeout) as connection, within(deadline - loop.time(), connection):
                yield connection
        except NoAnswer:
            await self._replace_all()
            raise

    async def _replace_all(self) -> None:
        """Replaces all connections, at most once per READ_WITHIN."""
        now = asyncio.get_running_loop().time()
        if now - self._drained_last > READ_WITHIN:
            self._drained_last = now
            await self.drain()

    @contextlib.asynccontextmanager
    async def reader(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> "AsyncIterator[psycopg.AsyncCursor[tuple[Any, ...]]]":
        """A cursor for one query. Raises StoreUnavailable when PostgreSQL can't be reached."""
        try:
            async with self.connection(timeout) as connection, connection.cursor(binary=True) as cursor:
                yield cursor
        except psycopg.OperationalError as error:
            raise StoreUnavailable(f"PostgreSQL can't be reached: {error}") from error

    async def rows(self, query: LiteralString, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """A query's rows; sends it again when its connection is lost. Raises StoreUnavailable after READ_WITHIN."""
        loop = asyncio.get_running_loop()
        deadline, seconds = loop.time() + self.timeout, self.timeout * FIRST_TRY_SHARE
        for _ in range(MAX_LOST):
            try:
                return await self._rows(query, parameters, seconds)
            except StoreUnavailable as error:
                seconds = deadline - loop.time()
                if isinstance(error.__cause__, psycopg.errors.QueryCanceled) or seconds <= 0:
                    raise
        return await self._rows(query, parameters, seconds)

    async def _rows(self, query: LiteralString, parameters: Sequence[object], seconds: float) -> list[tuple[Any, ...]]:
        """Without the context managers of `reader`: they cost as much as a short query, and no commit is needed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            connection = await self.getconn(seconds)
            try:
                async with within(deadline - loop.time(), connection):
                    cursor = await connection.cursor(binary=True).execute(query, parameters)
                    return await cursor.fetchall()
            finally:
                await self.putconn(connection)
        except psycopg.OperationalError as error:
            if isinstance(error, NoAnswer):
                await self._replace_all()
            raise StoreUnavailable(f"PostgreSQL can't be reached: {error}") from error


def _is_alive(connection: psycopg.AsyncConnection) -> bool:
    """Detects a closed connection without a round trip.

    Called twice because libpq's `PQconsumeInput` may read the server's last message first, and the end of the stream
    only at the next call.
    """
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return True
