"""One active among replicas: a PostgreSQL advisory lock on a connection of its own.

The server frees the lock when the connection or its process dies, so another replica takes over at once. What must be
right even while two believe that they hold it (a relay, a projector) is made right by other means: a fence.
"""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from shared.stopping import stop

TRY = "select pg_try_advisory_lock(hashtextextended(%s, 0))"

log = structlog.get_logger()


async def while_leader(
    dsn: str, name: str, work: Callable[[], Awaitable[None]], *, retry: float = 0.25, check: float = 2.0
) -> None:
    """Runs `work` whenever this process holds the lease `name`, until cancelled.

    Seconds: `retry` between tries to get the lease, `check` between looks whether it is still held. When the lease is
    lost, `work` is cancelled at once; when `work` raises, the lease is given up and the error logged before a new try.
    """
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
                await connection.execute("set tcp_keepalives_idle = 5")
                cursor = await connection.execute(TRY, (name,))
                row = await cursor.fetchone()
                if row and row[0]:
                    log.info("lease_taken", lease=name)
                    await _lead(connection, work, check)
        except (psycopg.Error, OSError) as error:
            log.warning("lease_lost", lease=name, error=str(error))
        except Exception:
            log.exception("lease_work_failed", lease=name)
        await asyncio.sleep(retry)


async def _lead(connection: psycopg.AsyncConnection, work: Callable[[], Awaitable[None]], check: float) -> None:
    task = asyncio.ensure_future(work())
    try:
        while not task.done():
            await asyncio.wait((task,), timeout=check)
            await connection.execute("select 1")
        await task
    finally:
        await stop(task)
