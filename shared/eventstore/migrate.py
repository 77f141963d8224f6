"""Tables and functions of a service's database, made when it starts."""

import psycopg


async def migrate(dsn: str, *scripts: str) -> None:
    """Applies SQL scripts that may be applied again, under a lock, so replicas that start together don't collide."""
    async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=10) as connection:
        await connection.execute("select pg_advisory_xact_lock(hashtext('migrate'))")
        for script in scripts:
            await connection.execute(script.encode())
