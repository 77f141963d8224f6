"""Clocks step: an hour forward and an hour back beneath running services costs nobody an attempt, nor a generation."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.faults.silent import SERVICES, assert_held, assert_status_tells
from tests.support.clock import SteppedClock
from tests.support.jobs import assert_rebuilds_are_equal, history
from tests.support.load import load
from tests.support.running_set import RunningSet, running_set

pytestmark = pytest.mark.faults

HOUR = timedelta(hours=1)
PROCESSES = [*(f"{service}-1" for service in SERVICES), "edge-1", "worker-1"]
MACHINES = {"worker": ["worker-1"], "generation": ["generation-1"], "services": PROCESSES[:-1]}
"""Whose clock steps; everybody else's, and that of who issues tokens, is right."""


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SteppedClock]:
    folder = tmp_path_factory.mktemp("clocks")
    return {process: SteppedClock(folder / process) for process in PROCESSES}


@pytest.fixture(scope="module")
def running(clocks: dict[str, SteppedClock], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    environment = {process: clock.environment for process, clock in clocks.items()}
    with running_set(tmp_path_factory.mktemp("set") / "data", environment=environment) as made:
        yield made


@pytest.mark.parametrize("offset", [HOUR, -HOUR], ids=["forward", "back"])
@pytest.mark.parametrize("machine", MACHINES)
async def test_a_step_and_back_again(
    running: RunningSet, clocks: dict[str, SteppedClock], machine: str, offset: timedelta
) -> None:
    """Jobs that run over both steps complete, with one attempt per step; health names the clock while it is off."""
    stepped = [clocks[process] for process in MACHINES[machine]]
    async with load(running, users=2, generations=4) as users:
        await users.job_ends(within=60)
        for clock in stepped:
            clock.step(offset)
        if machine == "worker":
            await users.answered_more(("create", "read", "list", "generate"), within=30)
        await assert_status_tells(running, "clock")
        for clock in stepped:
            clock.step(timedelta(0))
        await users.job_ends(within=60)
    # A token that is not valid yet, or no more, by the clock of who checks it: the user is told so, and only that.
    await assert_held(users, excused=["401"])
    scheduled = [event for event in history(running, "generation") if event["type"].startswith("step_scheduled")]
    assert {event["event"]["attempt"] for event in scheduled} == {1}


async def test_rebuilt_read_tables_equal_the_live_ones_after_all_that(running: RunningSet) -> None:
    assert_rebuilds_are_equal(running)
