"""One active among replicas: a PostgreSQL advisory lock on a connection of its own.

The server frees the lock when the connection or its process dies, so another replica takes over at once. What must be
right even while two believe that they hold it (a relay, a projector) is made right by other means: a fence.
"""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from shared.eventstore.connections import connected, within
from shared.stopping import stop

ANSWERS_WITHIN = 5.0
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
            async with connected(dsn, "leases", autocommit=True) as connection:
                async with within(ANSWERS_WITHIN, connection):
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
            async with within(ANSWERS_WITHIN, connection):
                await connection.execute("select 1")
        await task
    finally:
        await stop(task)
