"""The connections that read: pooled, and none handed out that the server has closed meanwhile."""

import psycopg
from psycopg_pool import AsyncConnectionPool

PATIENCE = 10.0
"""Seconds that a read waits for a connection."""


def reading_pool(dsn: str, size: int) -> AsyncConnectionPool:
    """Not opened yet; its connections are in autocommit, for one query each."""
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        timeout=PATIENCE,
        check=_check,
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )


async def _check(connection: psycopg.AsyncConnection) -> None:
    """Raises OperationalError for a connection that died while idle, so that a restarted server fails no reader.

    No round trip: a closed connection has its end to be read, after the server's last words. Hence twice.
    """
    connection.pgconn.consume_input()
    connection.pgconn.consume_input()
