"""A disk that fills up under a running set, and is freed: everything is there again by itself, nothing is lost."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.embedded.test_places import small_disk
from tests.integration.embedded.test_writes_that_fail import fill
from tests.support.jobs import assert_done_once, start_job, until_ended, until_settled
from tests.support.running_set import RunningSet, running_set

pytestmark = pytest.mark.faults

MEGABYTES = 700
GENERATIONS = 3
FULL_SECONDS = 20.0
"""How long the disk stays full: longer than the longest pause of a restart."""
IN_ORDER_SECONDS = 120.0
SERVICES = ("collections-1", "generation-1", "credits-1", "storage-1", "worker-1")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningSet]:
    with small_disk(tmp_path / "disk", MEGABYTES) as disk, running_set(disk / "set") as made:
        yield made


async def test_a_set_outlives_a_full_disk(running: RunningSet) -> None:
    """Its services are killed meanwhile, so that each must be started again when there is no room for a byte."""
    running.until_in_order(60)
    user = await running.rich_user(100)
    async with running.client(user) as client:
        accepted = await start_job(client, GENERATIONS)
        before = await until_ended(client, accepted["job_id"])
    filler = fill(running.data.parent)
    end = time.monotonic() + FULL_SECONDS
    for name in SERVICES:
        with contextlib.suppress(AssertionError, ProcessLookupError):  # some have died by themselves
            running.kill(name)
    status = running.status()
    assert status.code == 1, status.words
    while time.monotonic() < end:
        # What is written as space comes free must fail too, also what the servers make room for themselves.
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            file.write(b"x" * 4096)
        await asyncio.sleep(0.1)  # the length of the shortage is what is tried
    filler.unlink()
    running.until_in_order(IN_ORDER_SECONDS)
    async with running.client(user) as client:
        assert (await client.get(f"/jobs/{before['id']}"))["status"] == "completed"
        accepted = await start_job(client, GENERATIONS)
        after = await until_ended(client, accepted["job_id"])
        assert after["status"] == "completed", after
        await until_settled(client)
    assert_done_once(running, before, GENERATIONS)
    assert_done_once(running, after, GENERATIONS)
