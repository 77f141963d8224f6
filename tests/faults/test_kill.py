"""kill -9 of each part of the set in the middle of a job: the job completes, nothing happens twice.

With two replicas, each part has a job of its own; with one, one job outlives them all.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.demo.journey import ENDED
from tests.support.jobs import (
    PRICE,
    assert_done_once,
    assert_rebuilds_are_equal,
    start_job,
    until_ended,
    until_progress,
    until_settled,
)
from tests.support.running_set import RunningSet, running_set

pytestmark = pytest.mark.faults

GENERATIONS = 20
SERVICES = ["collections", "generation", "credits", "storage", "edge", "worker"]
SERVERS = ["postgres", "nats", "seaweedfs"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    with running_set(tmp_path_factory.mktemp("set") / "data", replicas=2) as instance:
        yield instance


async def assert_job_survives(running: RunningSet, *victims: str) -> None:
    user = await running.rich_user(100)
    async with running.client(user) as client:
        accepted = await start_job(client, GENERATIONS)
        await until_progress(client, accepted["job_id"], 0.1)
        for victim in victims:
            running.kill(victim)
        job = await until_ended(client, accepted["job_id"])
        assert job["status"] == "completed", job
        assert len(job["generations"]) == GENERATIONS
        balance = await until_settled(client)
        assert balance == {"available": 100 - GENERATIONS * PRICE, "held": 0, "spent": GENERATIONS * PRICE}
    assert_done_once(running, job, GENERATIONS)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_job_survives_the_death_of_a_service(running: RunningSet, service: str) -> None:
    """All replicas of it at once."""
    await assert_job_survives(running, *(f"{service}-{number}" for number in range(1, running.replicas + 1)))


@pytest.mark.parametrize("server", SERVERS)
async def test_a_job_survives_the_death_of_a_server(running: RunningSet, server: str) -> None:
    """And none of our services needs a restart for it."""
    before = {info.name: info.pid for info in running.file.processes if info.tells_health}
    await assert_job_survives(running, server)
    assert {info.name: info.pid for info in running.file.processes if info.tells_health} == before


async def test_rebuilt_read_tables_equal_the_live_ones_after_all_that(running: RunningSet) -> None:
    assert_rebuilds_are_equal(running)


async def test_a_job_goes_on_after_the_whole_set_was_killed(running: RunningSet) -> None:
    """kill -9 of the supervisor takes everything with it; `emprops up` on the same folder goes on."""
    user = await running.rich_user(100)
    async with running.client(user) as client:
        accepted = await start_job(client, GENERATIONS)
        await until_progress(client, accepted["job_id"], 0.1)
    assert running.process is not None
    running.process.kill()
    running.process.wait(10)
    running.up()
    async with running.client(user) as client:
        job = await until_ended(client, accepted["job_id"])
        assert job["status"] == "completed", job
        await until_settled(client)
    assert_done_once(running, job, GENERATIONS)
    assert_rebuilds_are_equal(running)


async def test_a_job_survives_the_death_of_each_part_of_a_set_of_one_replica(tmp_path: Path) -> None:
    """One after another, each as soon as the job has gone on since the one before."""
    victims = [*(f"{service}-1" for service in SERVICES), *SERVERS]
    generations, progress = 2 * GENERATIONS, 0.1
    with running_set(tmp_path / "data") as single:
        async with single.client(await single.rich_user(100)) as client:
            accepted = await start_job(client, generations)
            for victim in victims:
                job = await until_progress(client, accepted["job_id"], progress)
                assert job["status"] not in ENDED, f"it ended before {victim} died"
                single.kill(victim)
                progress = job["progress"] + 0.5 / generations
            job = await until_ended(client, accepted["job_id"])
            assert job["status"] == "completed", job
            balance = await until_settled(client)
            assert balance == {"available": 100 - generations * PRICE, "held": 0, "spent": generations * PRICE}
        assert_done_once(single, job, generations)
        assert_rebuilds_are_equal(single)
