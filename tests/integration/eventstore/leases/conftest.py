from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from shared.eventstore import EventStore
from tests.integration.eventstore.leases.leasing import Replica, Start
from tests.integration.eventstore.tally import CODEC


@pytest.fixture
async def start(database: str) -> AsyncIterator[Start]:
    async with EventStore.open(database, CODEC):
        pass  # its tables
    replicas: list[Replica] = []

    def start_one(name: str, dsn: str = database, **options: float) -> Replica:
        replicas.append(Replica(dsn, name, **options))
        return replicas[-1]

    yield start_one
    for replica in replicas:
        await replica.close()


@pytest.fixture
def sql(database: str) -> Iterator[psycopg.Connection]:
    """Opened without a store, whose own leases would be counted."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
