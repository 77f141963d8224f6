import secrets
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import NatsUser
from infra.embedded.ports import PortPicker
from shared.eventstore import EventStore
from tests.integration.messaging.support import Broker, opened
from tests.support.servers import Servers


@pytest.fixture
def broker(servers: Servers) -> Iterator[Broker]:
    """A nats-server for one test, which can be killed and wiped."""
    directory = servers.directory / f"broker-{secrets.token_hex(4)}"
    server = NatsServer(directory, PortPicker().pick("nats"), {"test": NatsUser(secrets.token_hex(8))})
    directory.mkdir()
    broker = Broker(server, directory)
    broker.start()
    yield broker
    broker.close()


@pytest_asyncio.fixture
async def owner(databases: Callable[..., str]) -> AsyncIterator[EventStore]:
    """The store of the service whose events are published."""
    async with opened(databases()) as store:
        yield store


@pytest_asyncio.fixture
async def service(databases: Callable[..., str]) -> AsyncIterator[EventStore]:
    """The store of the service that consumes them."""
    async with opened(databases()) as store:
        yield store
