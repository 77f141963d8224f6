from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from shared.contracts import generation
from tests.support.apps.collections import Api, collections_service
from tests.support.publishing import Publisher, publisher


@pytest_asyncio.fixture
async def api(database: str, nats_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with collections_service(database, nats_url, tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def engine(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    async with publisher("generation", generation.EVENTS, databases(), nats_url) as started:
        yield started
