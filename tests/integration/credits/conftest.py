from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from shared.contracts.generation import EVENTS
from tests.support.apps.credits import Api, credits_service
from tests.support.publishing import Publisher, publisher


@pytest_asyncio.fixture
async def api(database: str, nats_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with credits_service(database, nats_url, tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def generation(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    """In place of the generation service: publishes its events of jobs to the consumers over NATS."""
    async with publisher("generation", EVENTS, databases(), nats_url) as started:
        yield started
