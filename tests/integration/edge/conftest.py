"""The edge on a real server, in front of real servers that a test controls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from services.edge.app import create
from services.edge.settings import EdgeSettings
from tests.support.edge_client import Edge, EdgeClient
from tests.support.serving import serving
from tests.support.tokens import TokenIssuer
from tests.support.upstream import UpstreamStub

SERVICES = ("collections", "generation", "credits", "storage")


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer("emprops")


@pytest.fixture
def grants() -> TokenIssuer:
    """The generation service's own key, which signs upload grants."""
    return TokenIssuer("emprops-generation", kid="grants")


@pytest_asyncio.fixture
async def services() -> AsyncIterator[dict[str, UpstreamStub]]:
    stubs = {name: UpstreamStub(name) for name in SERVICES}
    servers = [serving(stub) for stub in stubs.values()]
    urls = await asyncio.gather(*(server.__aenter__() for server in servers))
    for stub, url in zip(stubs.values(), urls, strict=True):
        stub.url = url
    yield stubs
    # At once, as each takes a moment to stop.
    await asyncio.gather(*(server.__aexit__(None, None, None) for server in servers))


@pytest_asyncio.fixture
async def start_edge(
    services: dict[str, UpstreamStub], issuer: TokenIssuer, grants: TokenIssuer, tmp_path: Path
) -> AsyncIterator[Edge]:
    """Starts an edge in front of the services; settings may be replaced."""
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def opened(**changed: Any) -> AsyncIterator[EdgeClient]:
            settings: dict[str, Any] = {
                **{f"{name}_url": stub.url for name, stub in services.items()},
                "jwks_file": issuer.jwks_file(tmp_path).removeprefix("file://"),
                "grants_jwks_url": grants.jwks_file(tmp_path),
                **changed,
            }
            async with (
                serving(create(EdgeSettings(**settings))) as url,
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session,
            ):
                yield EdgeClient(session, url, issuer)

        async def start(**changed: Any) -> EdgeClient:
            return await stack.enter_async_context(opened(**changed))

        yield start


@pytest_asyncio.fixture
async def edge(start_edge: Edge) -> EdgeClient:
    return await start_edge()
