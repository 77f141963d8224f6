"""Replicas for the tests of leases, and conditions to wait for."""

import asyncio
from collections.abc import Callable

import psycopg

from shared.eventstore.lease import Lease, Leases
from shared.stopping import stop
from tests.support.patience import eventually

TTL = 1.0


class Replica:
    """The leases of one process, and its work while it leads."""

    def __init__(self, dsn: str, name: str, *, ttl: float = TTL) -> None:
        self.name, self.leases = name, Leases(dsn, name, ttl=ttl)
        self.leads: dict[str, Lease] = {}
        self.times = 0
        self.failure: Exception | None = None
        self.tasks: list[asyncio.Task[None]] = [asyncio.create_task(self.leases.run())]

    def wants(self, *names: str) -> "Replica":
        self.tasks += [asyncio.create_task(self.leases.run_as_leader(name, self.work)) for name in names]
        return self

    async def work(self, lease: Lease) -> None:
        if self.failure:
            raise self.failure
        self.leads[lease.name] = lease
        self.times += 1
        try:
            await asyncio.Event().wait()
        finally:
            del self.leads[lease.name]

    async def close(self) -> None:
        await stop(*reversed(self.tasks))


Start = Callable[..., Replica]


async def leader(*replicas: Replica, of: str = "x") -> Replica:
    await eventually(lambda: sum(of in replica.leads for replica in replicas) == 1, f"one leads {of}")
    return next(replica for replica in replicas if of in replica.leads)


def count(sql: psycopg.Connection, query: str) -> int:
    row = sql.execute(query).fetchone()
    assert row is not None
    return int(row[0])
