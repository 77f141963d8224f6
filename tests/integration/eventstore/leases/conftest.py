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
    made: list[Replica] = []

    def start_one(name: str, dsn: str = database, **options: float) -> Replica:
        made.append(Replica(dsn, name, **options))
        return made[-1]

    yield start_one
    for replica in made:
        await replica.close()


@pytest.fixture
def sql(database: str) -> Iterator[psycopg.Connection]:
    """Beside no store of the test's own, whose leases would be counted too."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
