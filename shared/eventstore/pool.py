"""The connections that read: pooled, none handed out that the server has closed, none waited on for long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.eventstore.connections import READS, NoAnswer, parameters, within
from shared.eventstore.records import StoreUnavailable

ANSWERS_WITHIN = 5.0
"""Seconds in which a read has its rows, or fails."""
FIRST_TRY = 0.6
"""The share of that which the first try gets: what is left is for one over another connection."""
ASK_AGAIN = 1.0
"""Seconds after which who waits for a connection asks again, so that the pool tries to make one."""
LOSSES = 3
"""How many connections may be lost under one query: when a server goes, those handed out next are about to die too."""


class ReadingPool(AsyncConnectionPool):
    """Connections in autocommit, for one query each; to be opened.

    A restart of the server leaves dead ones behind. Each would fail one reader, and the pool's own `check` pauses
    longer and longer between them; here they are passed over at once. A connection that was silent takes the others
    with it: they lead to the same server.
    """

    def __init__(
        self, dsn: str, size: int, on_connect: Callable[[psycopg.AsyncConnection], Awaitable[None]] | None = None
    ) -> None:
        settings = {"autocommit": True, "prepare_threshold": 0, **parameters(dsn, "reader", READS)}
        # Making a connection is tried twice and then given up, until the next one asks: the pool's own pauses between
        # tries double without a bound that would suit us.
        super().__init__(
            min_size=1,
            max_size=size,
            open=False,
            timeout=ANSWERS_WITHIN,
            reconnect_timeout=0.0,
            configure=on_connect,
            kwargs=settings,
        )

        self._drained_last = 0.0

    async def getconn(self, timeout: float | None = None) -> psycopg.AsyncConnection:  # noqa: ASYNC109 - psycopg's
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.timeout if timeout is None else timeout)
        while True:
            left = deadline - loop.time()
            try:
                connection = await super().getconn(min(left, ASK_AGAIN))
            except PoolTimeout:
                if loop.time() >= deadline:
                    raise
                continue
            if _is_alive(connection):
                return connection
            await self.putconn(connection)

    @contextlib.asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[psycopg.AsyncConnection]:  # noqa: ASYNC109
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
            await self._doubt()
            raise

    async def _doubt(self) -> None:
        """A connection was silent: the others lead to the same server, and are replaced."""
        now = asyncio.get_running_loop().time()
        if now - self._drained_last > ANSWERS_WITHIN:
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
        """A query's rows, in bounded time. When its connection is lost under it, it is asked again: a look is free."""
        loop = asyncio.get_running_loop()
        deadline, seconds = loop.time() + self.timeout, self.timeout * FIRST_TRY
        for _ in range(LOSSES):
            try:
                return await self._rows(query, parameters, seconds)
            except StoreUnavailable as error:
                seconds = deadline - loop.time()
                if isinstance(error.__cause__, psycopg.errors.QueryCanceled) or seconds <= 0:
                    raise
        return await self._rows(query, parameters, seconds)

    async def _rows(self, query: LiteralString, parameters: Sequence[object], seconds: float) -> list[tuple[Any, ...]]:
        """Without the context managers of `reader`, which cost as much as a short query: nothing is to be committed."""
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
                await self._doubt()
            raise StoreUnavailable(f"PostgreSQL can't be reached: {error}") from error


def _is_alive(connection: psycopg.AsyncConnection) -> bool:
    """Without a round trip: a closed connection has its end to be read, after the server's last words. Hence twice."""
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return True
