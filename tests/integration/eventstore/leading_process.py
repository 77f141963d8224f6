"""A process that leads when it can: `python -m … DSN NAME TTL` inserts its token in fenced transactions."""

import asyncio
import sys

from shared.eventstore.connections import connected
from shared.eventstore.lease import Lease, Leases

WRITE = "insert into written (who, token) values (%s, %s)"


async def main(dsn: str, name: str, ttl: float) -> None:
    leases = Leases(dsn, name, ttl=ttl)

    async def write(lease: Lease) -> None:
        while True:
            async with connected(dsn, "writing") as connection:
                await lease.fence(connection)
                await connection.execute(WRITE, (name, lease.token))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(leases.run())
        tasks.create_task(leases.run_as_leader("x", write))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
