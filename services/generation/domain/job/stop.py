"""Stopping a job before its end: its user cancels it, or it expires.

Two steps, because the job's generations have streams of their own: after `job_stop_requested` none starts any more, and
the process `cancel_generations` cancels each open one in its stream. `FinishStop` has how each of them ended.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from services.generation.domain.job.completion import EndGeneration, end
from services.generation.domain.job.state import OPEN, Job, evolve
from shared.contracts.event import Event
from shared.contracts.generation import JobCancelled, JobExpired, JobStopRequested
from shared.contracts.problem import Problem


class Stop(msgspec.Struct, frozen=True):
    """`reason` is shown to the user of an expired job. `round`: only if the job is in this round; None: in any."""

    outcome: Literal["cancelled", "expired"]
    reason: str = ""
    round: int | None = None


class FinishStop(msgspec.Struct, frozen=True):
    """Every generation that was open in this round has ended, as in `ends`."""

    round: int
    ends: list[EndGeneration]


def stop(command: Stop, state: Job) -> Sequence[Event]:
    """Idempotent. Raises JOB_HAS_ENDED if a user cancels a job that has ended otherwise."""
    if command.round is not None and command.round != state.round:
        return []
    if state.status in OPEN and not state.stopping:
        assert state.job_id is not None, "an open job was requested"
        assert state.user_id is not None, "an open job has an owner"
        return [JobStopRequested(state.job_id, state.user_id, command.outcome, command.reason)]
    if command.outcome == "cancelled" and state.status not in OPEN and state.status != "cancelled":
        raise Problem("JOB_HAS_ENDED", f"The job has ended ({state.status}), so there is nothing to cancel")
    return []


def finish_stop(command: FinishStop, state: Job) -> Sequence[Event]:
    """Ends the round, unless its generations had all ended before they could be cancelled."""
    if not state.stopping or command.round != state.round:
        return []
    events = list(end(command.ends, state))
    for event in events:
        state = evolve(state, event)
    if state.status in OPEN:
        cancelled = [ending for ending in command.ends if ending.is_cancelled and state.is_open(ending.gid)]
        if len(cancelled) != state.open:
            raise ValueError(f"{state.open} generations of the job are open, and {len(cancelled)} were cancelled")
        events.append(_outcome(state, sum(ending.cost for ending in cancelled)))
    return events


def _outcome(state: Job, cost: int) -> Event:
    """`cost`: micro-credits of the finished steps of cancelled generations."""
    assert state.job_id is not None, "a job that is stopped was requested"
    assert state.user_id is not None, "a job that is stopped has an owner"
    captured = state.captured + cost
    released = max(0, state.held - captured)
    if state.stopping == "expired":
        return JobExpired(
            job_id=state.job_id,
            user_id=state.user_id,
            reason=state.stop_reason,
            completed=state.completed,
            cancelled=state.open,
            captured=captured,
            released=released,
            round=state.round,
            payer_id=state.payer_id,
        )
    return JobCancelled(
        job_id=state.job_id,
        user_id=state.user_id,
        completed=state.completed,
        cancelled=state.open,
        captured=captured,
        released=released,
        round=state.round,
        payer_id=state.payer_id,
    )
