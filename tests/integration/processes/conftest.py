from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from shared.eventstore import EventStore
from tests.integration.eventstore.tally import CODEC


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, CODEC) as opened:
        yield opened


@pytest.fixture
def sql(store: EventStore) -> Iterator[psycopg.Connection]:
    """Another connection to the store's database, in UTC."""
    with psycopg.connect(store.dsn, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection
