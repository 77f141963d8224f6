"""R10: PostgreSQL restored to an earlier moment, whole while the set is down, one database beneath its services.

What was answered after the backup is gone, that is what restoring means; everything before it and after it is whole:
nothing is skipped or handled twice, no request waits for lost events, and readiness and status report the restore.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.demo.client import ApiError
from tests.faults.silent import SERVICES
from tests.support.backup import base_backup, dump, restore, restore_dump
from tests.support.jobs import assert_rebuilds_are_equal, history, start_job, until_settled
from tests.support.load import Load, load
from tests.support.running_set import RunningSet, running_set

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    with running_set(tmp_path_factory.mktemp("set") / "data") as instance:
        yield instance


async def lived(running: RunningSet) -> Load:
    """A while of load on a set, come to rest: whatever was accepted is there and done."""
    async with load(running, users=2, generations=1, pause=1) as users:
        await users.job_ends(within=60)
    await users.assert_nothing_lost()
    assert not users.tally.wrong, users.tally
    return users


async def assert_taken_back(users: Load) -> None:
    """The set has no record of it any more, and answers 404."""
    for path in [f"/collections/{collection}" for collection in users.collections] + [
        f"/jobs/{job}" for job in users.jobs
    ]:
        async with users.client(users.users[0]) as client:
            with pytest.raises(ApiError) as refused:
                await client.get(path)
            assert refused.value.status == 404, path


def assert_nothing_twice(running: RunningSet) -> None:
    """Each hold that was placed was settled once; each step ended once.

    A job that was taken back with its user's credits may be declined: the broker has delivered its events.
    """
    ledger: dict[str, Counter[str]] = {}
    for event in history(running, "credits"):
        if job_id := event["event"].get("job_id"):
            ledger.setdefault(job_id, Counter())[event["type"].partition(".")[0]] += 1
    for job_id, entries in ledger.items():
        assert entries["hold_placed"] + entries["hold_declined"] == 1, (job_id, entries)
        assert entries["hold_captured"] + entries["hold_released"] == entries["hold_placed"], (job_id, entries)
    steps = [
        event["event"]["sid"] for event in history(running, "generation") if event["type"].startswith("step_completed")
    ]
    assert len(steps) == len(set(steps))


def assert_told(running: RunningSet, *services: str) -> None:
    """`emprops status` names the stores that were restored; a running service notices within seconds."""
    for service in services:
        until = time.monotonic() + 60
        while (
            f"history of {service} was restored to an earlier state: epoch"
            not in (words := running.status().words).lower()
        ):
            assert time.monotonic() < until, f"{service}:\n{words}"


async def assert_whole(running: RunningSet, *before: Load) -> None:
    """The set continues, what was there before the backup still is, and all read tables agree with history."""
    await lived(running)
    for users in before:
        await users.assert_nothing_lost()
    assert_nothing_twice(running)
    assert_rebuilds_are_equal(running)


async def test_the_stores_go_back_and_nats_does_not(running: RunningSet, tmp_path: Path) -> None:
    """A hot copy of PostgreSQL, restored while the set is down."""
    earlier_load = await lived(running)
    base_backup(running, tmp_path / "backup")
    later_load = await lived(running)
    running.stop()
    restore(running, "postgres", tmp_path / "backup")
    running.up()
    assert_told(running, *SERVICES)
    await assert_whole(running, earlier_load)
    await assert_taken_back(later_load)


async def test_holds_of_jobs_that_are_unknown_after_it_are_released(running: RunningSet, tmp_path: Path) -> None:
    user = await running.rich_user(100)
    dump(running, "generation", tmp_path / "backup")
    async with running.client(user) as client:
        with running.frozen("worker-1"):
            await start_job(client, 4)
            assert (await client.get("/credits"))["held"] == 5
            restore_dump(running, "generation", tmp_path / "backup")
        balance = await until_settled(client)
    assert balance == {"available": 100, "held": 0, "spent": 0}
