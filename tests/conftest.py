"""The servers and what each test gets of them: a database, a NATS server, a bucket of its own."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from tests.support.servers import Bucket, Servers, delete_streams, start_servers

# No deadlines: how long an example takes depends on the machine. Every run has the same examples, so that a test fails
# on every machine or on none; `--hypothesis-profile=explore` tries new ones, and prints how to repeat a failure. `make
# test-fast` tries a fifth of the examples, `make test` all.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False)
settings.register_profile("fast", settings.get_profile("repeatable"), max_examples=20)
settings.load_profile("repeatable")

# Plain tracebacks, as services log them. structlog's default, with rich, also prints variables: under load, one took
# 13 s of the event loop, so a service lost its leases.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a test configures of structlog (a command that it calls does, too) ends with it: others read logs."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL, NATS and S3, each started when first asked for."""
    started = start_servers()
    yield started
    started.close()


@pytest.fixture
def databases(servers: Servers) -> Iterator[Callable[..., str]]:
    """A function: the DSN of another fresh database (a copy of the template it is given), dropped after the test."""
    dsns: list[str] = []

    def create(template: str = "template1") -> str:
        dsns.append(servers.create_database(template))
        return dsns[-1]

    yield create
    for dsn in dsns:
        servers.drop_database(dsn)


@pytest.fixture
def database(databases: Callable[..., str]) -> str:
    """The DSN of a fresh, empty PostgreSQL database."""
    return databases()


@pytest_asyncio.fixture
async def nats_url(servers: Servers) -> AsyncIterator[str]:
    """The URL of a NATS server with JetStream and no streams, with a user who may do everything."""
    if servers.private_nats:
        with servers.start_nats() as server:
            yield server.url("test")
    else:
        await delete_streams(servers.nats_url)
        yield servers.nats_url


@pytest.fixture
def bucket(servers: Servers) -> Iterator[Bucket]:
    """An empty S3 bucket, deleted after the test: SeaweedFS sets volumes aside for each, and has only so many."""
    name = f"test-{secrets.token_hex(8)}"
    client = servers.s3.client()
    client.make_bucket(name)
    yield Bucket(servers.s3, name)
    for item in client.list_objects(name, recursive=True):
        client.remove_object(name, str(item.object_name))
    client.remove_bucket(name)
