"""Pausing a job, by an operator: its open generations go on, and no other one starts."""

from collections.abc import Sequence

import msgspec

from services.generation.domain.job.state import OPEN, Job
from shared.contracts.event import Event
from shared.contracts.generation import JobPaused, JobUnpaused
from shared.contracts.problem import Problem, not_found


class Pause(msgspec.Struct, frozen=True):
    reason: str = ""


class Unpause(msgspec.Struct, frozen=True):
    pass


def pause(command: Pause | Unpause, state: Job) -> Sequence[Event]:
    """Idempotent. Raises NOT_FOUND, and JOB_HAS_ENDED."""
    if state.status in ("", "disowned"):
        raise not_found("The job")
    if state.status not in OPEN or state.job_id is None or state.user_id is None:
        raise Problem("JOB_HAS_ENDED", f"The job has ended ({state.status}), so it can't be paused or continued")
    if isinstance(command, Pause):
        return [] if state.is_paused else [JobPaused(state.job_id, state.user_id, command.reason)]
    return [JobUnpaused(state.job_id, state.user_id)] if state.is_paused else []
