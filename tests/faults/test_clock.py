"""Clocks step: an hour forward and an hour back beneath running services makes no attempt and no generation fail."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import pytest

from tests.faults.silent import SERVICES, assert_held
from tests.support.clock import SteppedClock
from tests.support.jobs import assert_rebuilds_are_equal, history
from tests.support.load import load
from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet, running_set

pytestmark = pytest.mark.faults

HOUR = timedelta(hours=1)
PROCESSES = [*(f"{service}-1" for service in SERVICES), "edge-1", "worker-1"]
NATS, POSTGRESQL, OTHERS = "NATS's", "PostgreSQL's", "the services'"
MACHINES = {
    "edge-and-worker": {"edge-1": OTHERS, "worker-1": NATS},
    "generation": {"generation-1": POSTGRESQL},
    "services": {**dict.fromkeys((f"{service}-1" for service in SERVICES), POSTGRESQL), "edge-1": None},
}
"""The processes whose clocks step, and with whose clock each compares its own. All other clocks are right."""
ENDS = ("job_completed", "job_failed", "job_cancelled")


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SteppedClock]:
    folder = tmp_path_factory.mktemp("clocks")
    return {process: SteppedClock(folder / process) for process in PROCESSES}


@pytest.fixture(scope="module")
def running(clocks: dict[str, SteppedClock], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    environment = {process: clock.environment for process, clock in clocks.items()}
    with running_set(tmp_path_factory.mktemp("set") / "data", environment=environment) as instance:
        yield instance


@pytest.mark.parametrize("machine", MACHINES)
async def test_steps_forward_and_back(running: RunningSet, clocks: dict[str, SteppedClock], machine: str) -> None:
    """Jobs that run at a step end while the clock is off, with one attempt per step; status names the clock."""
    async with load(running, users=2, generations=2, open_jobs=2) as users:
        for offset, side in ((HOUR, "ahead of"), (-HOUR, "behind")):
            await users.answered_more(("generate",), within=60)
            with ExitStack() as stepped:
                for process in MACHINES[machine]:
                    stepped.enter_context(clocks[process].off_by(offset))
                await eventually(partial(all_ended, running, set(users.jobs)), "jobs to end", within=60)
                await eventually(partial(all_told, running, MACHINES[machine], side), "status to tell", within=60)
        await users.job_ends(within=60)
    # A token that is not valid yet, or no more, by the clock of who checks it: the user is told so, and only that.
    await assert_held(users, excused=["401"])
    scheduled = [event for event in history(running, "generation") if event["type"].startswith("step_scheduled")]
    assert {event["event"]["attempt"] for event in scheduled} == {1}


async def all_ended(running: RunningSet, jobs: set[str]) -> bool:
    """By what is recorded: a user may be refused for the time of a token."""
    events = await asyncio.to_thread(history, running, "generation")
    open_ = jobs - {event["event"]["job_id"] for event in events if event["type"].startswith(ENDS)}
    if open_:
        raise NotYet(open_)
    return True


async def all_told(running: RunningSet, machines: dict[str, str | None], side: str) -> bool:
    """`emprops status` exits with 1, and names the clock of each; a busy process may miss one question."""
    status = await asyncio.to_thread(running.status)
    patterns = (
        rf"{process}: clock: this clock is 3[56]\d\d\.\d s {side} {whose}"
        for process, whose in machines.items()
        if whose
    )
    if status.code != 1 or not all(re.search(item, status.words) for item in patterns):
        raise NotYet(status.code, status.words)
    return True


async def test_rebuilt_read_tables_equal_the_live_ones_after_all_that(running: RunningSet) -> None:
    assert_rebuilds_are_equal(running)
