"""The connections that read: pooled, and none handed out that the server has closed meanwhile."""

import psycopg
from psycopg_pool import AsyncConnectionPool

PATIENCE = 10.0
"""Seconds that a read waits for a connection."""


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


def _is_alive(connection: psycopg.AsyncConnection) -> bool:
    """Without a round trip: a closed connection has its end to be read, after the server's last words. Hence twice."""
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return True
