"""R8, connections that say nothing: a proxy that forwards nothing for 20 s between services and what they speak to."""

import time
from collections.abc import Iterator

import pytest

from tests.faults.silent import SERVICES, assert_held, assert_told, silence
from tests.support.jobs import assert_rebuilds_are_equal
from tests.support.load import COMMAND_SECONDS, busy_seconds, load
from tests.support.running_set import RunningSet, running_set

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

REPLICAS = 2
SECONDS = 20.0
HEDGED_SECONDS = 2.0
"""Until a read is answered by the other replica."""
SERVERS = ["postgres", "nats", "s3"]
PROCESSES = [f"{service}-{number}" for service in SERVICES for number in (1, 2)]
TO_SERVERS = {
    "postgres": [f"{process}/postgres" for process in PROCESSES],
    "nats": [f"{process}/nats" for process in PROCESSES],
    "s3": ["storage-1/s3", "storage-2/s3"],
}
TO_FIRST = [f"edge-1/{service}-1" for service in SERVICES]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    data = tmp_path_factory.mktemp("set") / "data"
    routes = [route for server in TO_SERVERS.values() for route in server] + TO_FIRST
    with running_set(data, replicas=REPLICAS, routes=routes) as instance:
        yield instance


@pytest.mark.parametrize("server", SERVERS)
async def test_a_silent_server(running: RunningSet, server: str) -> None:
    """Every answer comes within its bound, health names the server, and 5 s after its end all goes on."""
    async with load(running) as users:
        await users.answered_more(within=30)
        async with silence(users, SECONDS, lambda: running.silent(*TO_SERVERS[server])):
            await assert_told(running, server)
    await assert_held(users)


async def test_services_that_are_silent_to_the_edge(running: RunningSet) -> None:
    """One replica of each: the edge turns to the other one, and leaves the silent one alone.

    A command without Idempotency-Key that was sent to a silent one is refused after its bound: each user may be there.
    """
    async with load(running) as users:
        await users.answered_more(within=30)
        refused = users.tally.refused.total()
        async with silence(users, SECONDS, lambda: running.silent(*TO_FIRST)):
            async with users.client(users.users[0]) as reader:
                for _ in range(10):
                    began = time.monotonic()
                    await reader.get("/projects")
                    assert time.monotonic() - began < HEDGED_SECONDS + busy_seconds()
            await users.answered_more(("create", "read", "list", "generate"), within=COMMAND_SECONDS)
            assert users.tally.refused.total() - refused <= len(users.users), users.tally
    await assert_held(users)


async def test_rebuilt_read_tables_equal_the_live_ones_after_all_that(running: RunningSet) -> None:
    assert_rebuilds_are_equal(running)
