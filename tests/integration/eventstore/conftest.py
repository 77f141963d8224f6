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
    """Somebody else's connection to the store's database."""
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def application(store: EventStore) -> Iterator[Application[UUID]]:
    """Of the library, plain, on the store's database."""
    env = {"PERSISTENCE_MODULE": "shared.eventstore.recorders", "DATABASE_URL": store.dsn}
    with Application[UUID](env=env) as running:
        yield running
