from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.apps.collections import Api, collections_service


@pytest_asyncio.fixture
async def api(database: str, nats_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with collections_service(database, nats_url, tmp_path) as started:
        yield started
