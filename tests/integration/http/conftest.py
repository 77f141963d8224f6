from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.integration.http.drafts import Service, drafts_service


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with drafts_service(tmp_path) as started:
        yield started
