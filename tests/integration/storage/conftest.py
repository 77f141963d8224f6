from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest_asyncio

from shared.contracts import collections as contract
from shared.contracts.collections import CollectionCreated
from shared.contracts.generation import EVENTS
from tests.support.apps.client import ALICE
from tests.support.apps.storage import COLLECTION, Api, storage_service
from tests.support.publishing import Publisher, publisher
from tests.support.servers import Bucket


@pytest_asyncio.fixture
async def api(database: str, nats_url: str, bucket: Bucket, tmp_path: Path) -> AsyncIterator[Api]:
    async with storage_service(database, nats_url, bucket, tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def generation(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    """In place of the generation service: publishes its events of generations to the consumers over NATS."""
    async with publisher("generation", EVENTS, databases(), nats_url, waits=True) as started:
        yield started


@pytest_asyncio.fixture
async def collections(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    """In place of the collections service: COLLECTION is created."""
    async with publisher("collections", contract.EVENTS, databases(), nats_url, waits=True) as started:
        await started.publish(COLLECTION, CollectionCreated(COLLECTION, UUID(int=20), ALICE, "Tides", "", {}))
        yield started
