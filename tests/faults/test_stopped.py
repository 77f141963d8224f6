"""R8, processes that are there and do nothing: SIGSTOP of each server and of each service, for 20 s."""

from collections.abc import Iterator

import pytest

from tests.faults.silent import SERVICES, assert_held, assert_status_tells, assert_told, both, silence
from tests.support.jobs import assert_rebuilds_are_equal
from tests.support.load import load
from tests.support.running_set import RunningSet, running_set

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

REPLICAS = 2
SECONDS = 20.0
LEASE_SECONDS = 12.0
"""Until another replica leads. Before that, a read that follows a write is refused: its table stands still."""
TAKEOVER_SECONDS = 30.0
"""Then the new leaders catch up, service by service, before a job passes them all."""
SERVERS = {"postgres": "postgres", "nats": "nats", "s3": "seaweedfs"}
"""As health names them: the process."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    data = tmp_path_factory.mktemp("set") / "data"
    with running_set(data, replicas=REPLICAS) as instance:
        yield instance


@pytest.mark.parametrize("server", SERVERS)
async def test_a_stopped_server(running: RunningSet, server: str) -> None:
    """Every answer comes within its bound, health names the server, and 5 s after its end all goes on."""
    async with load(running) as users:
        await users.answered_more(within=30)
        async with silence(users, SECONDS, lambda: running.frozen(SERVERS[server])):
            await assert_told(running, server)
    await assert_held(users)


@pytest.mark.parametrize("number", [1, 2])
async def test_one_replica_of_each_service(running: RunningSet, number: int) -> None:
    """Whichever leads: the other ones serve, and have taken over relay, read tables and consumers after 10 s."""
    stopped = [f"{service}-{number}" for service in (*SERVICES, "edge", "worker")]
    edge_that_runs = running.file.services["edge"].urls[2 - number]
    async with load(running, url=edge_that_runs, open_jobs=2) as users:
        await users.answered_more(within=30)
        async with silence(users, SECONDS, lambda: running.frozen(*stopped)):
            await users.answered_more(within=LEASE_SECONDS)
            await users.job_ends(within=TAKEOVER_SECONDS)
            await assert_status_tells(running, stopped[0])
    await assert_held(users)


@pytest.mark.parametrize("services", [("collections", "credits"), ("generation", "storage")], ids="+".join)
async def test_all_replicas_of_a_service(running: RunningSet, services: tuple[str, ...]) -> None:
    """No replica replaces it: its clients get an error in time, and everything continues afterwards."""
    async with load(running) as users:
        await users.answered_more(within=30)
        async with silence(users, SECONDS, lambda: running.frozen(*both(running, *services))):
            for service in services:
                await assert_status_tells(running, service)
    await assert_held(users)


async def test_rebuilt_read_tables_equal_the_live_ones_after_all_that(running: RunningSet) -> None:
    assert_rebuilds_are_equal(running)
