"""The connections that read: pooled, and none handed out that the server has closed meanwhile."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.eventstore.records import StoreUnavailable

PATIENCE = 10.0
"""Seconds that a read waits for a connection."""
LOSSES = 3
"""How many connections may be lost under one query: when a server goes, those handed out next are about to die too."""


class ReadingPool(AsyncConnectionPool):
    """Connections in autocommit, for one query each; to be opened.

    A restart of the server leaves dead ones behind. Each would fail one reader, and the pool's own `check` pauses
    longer and longer between them; here they are passed over at once.
    """

    def __init__(self, dsn: str, size: int) -> None:
        settings = {"autocommit": True, "prepare_threshold": 0}
        super().__init__(dsn, min_size=1, max_size=size, open=False, timeout=PATIENCE, kwargs=settings)

    async def getconn(self, timeout: float | None = None) -> psycopg.AsyncConnection:  # noqa: ASYNC109 - psycopg's
        while True:
            connection = await super().getconn(timeout)
            if _is_alive(connection):
                return connection
            await self.putconn(connection)

    @contextlib.asynccontextmanager
    async def reader(self) -> "AsyncIterator[psycopg.AsyncCursor[tuple[Any, ...]]]":
        """A cursor for one query. Raises StoreUnavailable when PostgreSQL can't be reached."""
        try:
            async with self.connection() as connection, connection.cursor(binary=True) as cursor:
                yield cursor
        except psycopg.OperationalError as error:
            raise StoreUnavailable(f"PostgreSQL can't be reached: {error}") from error

    async def rows(self, query: LiteralString, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """A query's rows. When its connection is lost under it, it is asked again: a look changes nothing."""
        for _ in range(LOSSES):
            try:
                return await self._rows(query, parameters)
            except StoreUnavailable as error:
                if isinstance(error.__cause__, PoolTimeout):
                    raise
        return await self._rows(query, parameters)

    async def _rows(self, query: LiteralString, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        async with self.reader() as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchall()


def _is_alive(connection: psycopg.AsyncConnection) -> bool:
    """Without a round trip: a closed connection has its end to be read, after the server's last words. Hence twice."""
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return True
