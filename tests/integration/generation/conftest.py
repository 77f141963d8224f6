from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from shared.contracts.collections import EVENTS
from tests.integration.generation.working import Worker, worker
from tests.support.apps.client import BOB
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.credits import credits_service
from tests.support.apps.generation import Api, generation_service
from tests.support.publishing import Publisher, publisher
from tests.support.tokens import TokenIssuer

BUCKET = "files-of-the-set"


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer()


@pytest_asyncio.fixture
async def api(database: str, nats_url: str, tmp_path: Path, issuer: TokenIssuer) -> AsyncIterator[Api]:
    async with generation_service(database, nats_url, tmp_path, issuer, adoption_wait=1.0, s3_bucket=BUCKET) as started:
        yield started


@pytest_asyncio.fixture
async def collections(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    """In place of the collections service: publishes its events to generation over NATS."""
    async with publisher("collections", EVENTS, databases(), nats_url) as started:
        yield started


@pytest_asyncio.fixture
async def credits_(databases: Callable[..., str], nats_url: str, tmp_path: Path) -> AsyncIterator[CreditsApi]:
    """The real credits service; ALICE has 10 credits."""
    folder = tmp_path / "credits"
    folder.mkdir()
    async with credits_service(databases(), nats_url, folder) as started:
        await started.give("10")
        yield started


@pytest_asyncio.fixture
async def worker_(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Worker]:
    async with worker(nats_url, databases()) as played:
        yield played


@pytest_asyncio.fixture
async def rich(credits_: CreditsApi) -> CreditsApi:
    """ALICE, who owns the collections, and BOB, a visitor, have 10 credits each."""
    await credits_.give("10", BOB)
    return credits_
