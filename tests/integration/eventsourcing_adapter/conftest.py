from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import psycopg
import pytest
from eventsourcing.application import Application

from shared.eventstore import EventStore
from tests.integration.eventstore.tally import CODEC


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, CODEC) as opened:
        yield opened


@pytest.fixture
def sql(store: EventStore) -> Iterator[psycopg.Connection]:
    """A connection to the store's database that is neither the store's nor the library's."""
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def application(store: EventStore) -> Iterator[Application[UUID]]:
    """An application of the library, without settings of its own, on the store's database."""
    env = {"PERSISTENCE_MODULE": "shared.eventsourcing_adapter", "DATABASE_URL": store.dsn}
    with Application[UUID](env=env) as running:
        yield running
