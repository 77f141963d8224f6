"""Random histories of failures, cancellations and resumes: every completed run of a step is paid once at most.

The deciders of job, generation and account are driven as the services drive them, with the services' own mapping of
events to commands. What must be paid is counted beside them, from the runs of steps.
"""

from collections import defaultdict
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.credits.consumers import command_of
from services.credits.domain import account as ledger
from services.credits.domain.decisions import GrantCredits
from services.credits.domain.decisions import decide as decide_account
from services.generation.consumers import hold_decision
from services.generation.domain import generation, job
from services.generation.domain.generation.resume import resumption
from services.generation.domain.job import EndGenerations, FinishStop, Resume, Stop
from services.generation.domain.job.state import OPEN, RESUMABLE
from services.generation.processes.cancel_generations import end_of as end_of_cancelled
from services.generation.processes.report_generations import end_of
from shared.contracts.consumers import CREDITS_JOBS
from shared.contracts.credits import HoldDeclined, HoldPlaced
from shared.contracts.generation import (
    GenerationCompleted,
    GenerationFailed,
    ResumedGenerations,
    StepCompleted,
    StepError,
)
from tests.unit.generation.builders import COLLECTION, JOB, USER, planned, text
from tests.unit.generation.test_stop_and_resume import GIDS, REQUEST

NOW = datetime(2026, 11, 27, tzinfo=UTC)
COSTS = {1: 1_000_000, 2: 250_000}
FUNDS = 10 * 3 * sum(COSTS.values())
BROKEN = StepError("BROKEN", "it broke", retryable=False)


class World:
    """A job of three generations of two steps, and its user's account."""

    def __init__(self) -> None:
        self.job, self.account = job.Job(), ledger.Account()
        self.generations = dict.fromkeys(GIDS, generation.Generation())
        self.runs: defaultdict[tuple[UUID, int], int] = defaultdict(int)
        """Micro-credits of the completed runs by generation and round."""
        self.due = 0
        self.on_account(GrantCredits(UUID(int=9), USER, FUNDS, "test", 1, None, None, NOW))
        self.on_job(REQUEST)
        self.start()

    def on_account(self, command) -> None:
        for event in decide_account(command, self.account):
            self.account = ledger.evolve(self.account, event)
            if isinstance(event, HoldPlaced | HoldDeclined):
                self.on_job(hold_decision(event))

    def on_job(self, command) -> None:
        events = list(job.decide(command, self.job))
        for event in events:
            self.job = job.evolve(self.job, event)
        for event in events:
            if isinstance(event, CREDITS_JOBS.events):
                self.on_account(command_of(SimpleNamespace(event=event, type="test"), NOW))

    def on_generation(self, gid: UUID, command) -> list:
        events = list(generation.decide(command, self.generations[gid]))
        for event in events:
            self.generations[gid] = generation.evolve(self.generations[gid], event)
            if isinstance(event, StepCompleted):
                self.runs[gid, self.job.round] += COSTS[event.component_id]
        return events

    def start(self) -> None:
        """Starts what the current round runs."""
        resumed = {gid: alike for alike in self.job.resumed for gid in alike.gids}
        for gid in list(self.job.places):
            cost, keep = (resumed[gid].cost, resumed[gid].keep) if resumed else (sum(COSTS.values()), [])
            self.on_generation(gid, start_of(gid, cost, self.job.round, keep))

    def running(self) -> list[tuple[UUID, UUID, int]]:
        return [
            (gid, step.sid, state.steps[step.component_id].attempt)
            for gid, state in self.generations.items()
            for step in (state.started.steps if state.started and state.status == "running" else [])
            if state.steps[step.component_id].status == "running"
        ]

    def take_result(self, gid: UUID, sid: UUID, attempt: int, error: StepError | None) -> None:
        outputs = [] if error else [text("done")]
        for event in self.on_generation(gid, generation.TakeResult(sid, attempt, outputs, error, NOW, {}, {})):
            if isinstance(event, GenerationCompleted | GenerationFailed):
                if isinstance(event, GenerationCompleted):
                    self.due += self.runs[gid, self.job.round]
                self.on_job(EndGenerations([end_of(event)] * 2))  # reported twice

    def cancel(self) -> None:
        if self.job.status not in OPEN:
            return
        round_, opened = self.job.round, list(self.job.places)
        self.on_job(Stop("cancelled"))
        for gid in opened:
            self.on_generation(gid, generation.Cancel(gid, JOB, USER, round_, {}, {}))
            self.due += self.runs[gid, round_]
        self.on_job(FinishStop(round_, [end_of_cancelled(gid, self.generations[gid]) for gid in opened]))

    def resume(self, resumed_from: str, gids: list[UUID]) -> None:
        chosen = [gid for gid in gids if gid in self.job.unfinished]
        if self.job.status not in RESUMABLE or not chosen:
            return
        parts = []
        for gid in chosen:
            keep, cost = resumption(self.generations[gid], resumed_from, sum(COSTS.values()))
            status = "failed" if self.generations[gid].status == "failed" else "cancelled"
            parts.append(ResumedGenerations([gid], cost, status, keep))
        self.on_job(Resume(self.job.round, resumed_from, parts))
        if self.job.status == "processing":
            self.start()


def start_of(gid: UUID, cost: int, round_: int, keep: list[int]) -> generation.Start:
    steps = [
        msgspec.structs.replace(step, sid=uuid5(gid, str(step.component_id)), cost=COSTS[step.component_id])
        for step in (planned(1), planned(2, 1))
    ]
    return generation.Start(gid, JOB, USER, COLLECTION, "h", {}, steps, cost, round=round_, keep=keep)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["complete", "complete", "complete", "fail", "cancel", "resume", "resume", "late"]),
        st.integers(0, 10),
        st.sampled_from(["last_completed", "last_completed", "start", "1", "2"]),
        st.sets(st.sampled_from(GIDS), min_size=1),
    ),
    min_size=12,
    max_size=40,
)


@given(ACTS)
def test_what_has_completed_is_paid_once(acts):
    """At every moment nothing is spent twice; when the job has ended, exactly what is due, and nothing is held."""
    world = World()
    runs: list[tuple[UUID, UUID, int]] = []
    for act, number, resumed_from, gids in acts:
        running = world.running()
        runs += running
        match act:
            case "complete" | "fail" if running:
                world.take_result(*running[number % len(running)], BROKEN if act == "fail" else None)
            case "late" if runs:
                late = runs[number % len(runs)]
                if late not in running:
                    before = (world.job, world.account, world.generations)
                    world.take_result(*late, None)
                    assert (world.job, world.account, world.generations) == before
            case "cancel":
                world.cancel()
            case "resume":
                world.resume(resumed_from, sorted(gids))
        assert world.account.granted == FUNDS
        if world.job.status not in OPEN:
            assert world.account.spent == world.due
            assert len(world.account.holds) == 0
            assert world.account.available(NOW) == FUNDS - world.due


@pytest.mark.parametrize("completed_first", [0, 1, 2, 3, 4, 5])
def test_a_job_that_is_cancelled_and_resumed_costs_what_it_would_have_cost(completed_first):
    """Whenever it is cancelled, as often as it is."""
    world = World()
    for _ in range(completed_first):
        world.take_result(*world.running()[0], None)
        for _ in range(2):
            world.cancel()
            world.resume("last_completed", GIDS)
    while running := world.running():
        world.take_result(*running[0], None)
    assert (world.job.status, world.account.spent) == ("completed", 3 * sum(COSTS.values()))
