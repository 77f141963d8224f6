from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from shared.contracts import collections as collections_contract
from shared.contracts import generation as generation_contract
from shared.contracts import storage as storage_contract
from tests.support.apps.collections import Api as CollectionsApi
from tests.support.apps.collections import collections_service
from tests.support.apps.storage import Api as StorageApi
from tests.support.apps.storage import storage_service
from tests.support.publishing import Publisher, publisher
from tests.support.servers import Bucket


@pytest_asyncio.fixture
async def storage(database: str, nats_url: str, bucket: Bucket, tmp_path: Path) -> AsyncIterator[StorageApi]:
    """The storage service; the collections service is played."""
    async with storage_service(database, nats_url, bucket, tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def asking(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    """The collections service's side towards storage."""
    async with publisher("collections", collections_contract.EVENTS, databases(), nats_url) as started:
        yield started


@pytest_asyncio.fixture
async def collections(database: str, nats_url: str, tmp_path: Path) -> AsyncIterator[CollectionsApi]:
    """The collections service; generation and storage are played."""
    async with collections_service(database, nats_url, tmp_path, public_url="https://edge.test") as started:
        yield started


@pytest_asyncio.fixture
async def generating(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    """The generation service's side."""
    async with publisher("generation", generation_contract.EVENTS, databases(), nats_url) as started:
        yield started


@pytest_asyncio.fixture
async def storing(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    """The storage service's side towards collections."""
    async with publisher("storage", storage_contract.EVENTS, databases(), nats_url) as started:
        yield started
