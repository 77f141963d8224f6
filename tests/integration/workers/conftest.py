import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import NatsUser
from infra.embedded.ports import PortPicker
from shared.messaging import connected
from tests.integration.messaging.support import Broker
from tests.integration.workers import support
from tests.integration.workers.support import Engine, Storage, WorkerProcess
from tests.support.servers import Servers


@pytest_asyncio.fixture
async def storage() -> AsyncIterator[Storage]:
    """What the worker uploads to and reads from."""
    async with support.storage() as stand_in:
        yield stand_in


@pytest_asyncio.fixture
async def engine(nats_url: str, storage: Storage) -> AsyncIterator[Engine]:
    """The other side of the worker protocol."""
    async with connected(nats_url, "engine") as client:
        yield await Engine(client, storage.url).open()


@pytest.fixture
def start_worker(engine: Engine, nats_url: str, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """A function that starts a worker process with the settings given; all are killed after the test.

    `engine` has made the streams that a worker waits for.
    """
    started: list[WorkerProcess] = []

    def start(**settings: str) -> WorkerProcess:
        started.append(WorkerProcess(nats_url, tmp_path / f"worker-{len(started)}.log", **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


@pytest.fixture
def broker(servers: Servers) -> Iterator[Broker]:
    """A nats-server of the test's own, to be killed and wiped; it is not started yet."""
    directory = servers.directory / f"broker-{secrets.token_hex(4)}"
    server = NatsServer(directory, PortPicker().pick("nats"), {"test": NatsUser(secrets.token_hex(8))})
    directory.mkdir()
    broker = Broker(server, directory)
    yield broker
    broker.close()
