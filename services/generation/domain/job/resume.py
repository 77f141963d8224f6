"""Resuming a job that has ended without all of its generations: a further round, with a hold of its own."""

from collections.abc import Sequence

import msgspec

from services.generation.domain.job.state import OPEN, RESUMABLE, Job
from shared.contracts.event import Event
from shared.contracts.generation import JobResumed, ResumedGenerations
from shared.contracts.problem import Problem
from shared.contracts.sizes import MAX_PART, encoded_size


class Resume(msgspec.Struct, frozen=True):
    """What runs again, as computed from the generations' states. `after_round`: the round that these ended in."""

    after_round: int
    resumed_from: str
    generations: list[ResumedGenerations]

    @property
    def quoted(self) -> int:
        """Micro-credits."""
        return sum(alike.cost * len(alike.gids) for alike in self.generations)


def check_resumable(state: Job) -> None:
    """Raises JOB_NOT_RESUMABLE for a job that has not ended, has completed, or was never authorized."""
    if state.status in RESUMABLE and state.unfinished:
        return
    if state.status in OPEN:
        reason = f"The job is {state.status}: only a job that has ended can be resumed"
    elif state.status == "completed":
        reason = "All generations of the job have completed"
    else:
        reason = f"The job was {state.status}, and has never started: request its generations again"
    raise Problem("JOB_NOT_RESUMABLE", reason)


def resume(command: Resume, state: Job) -> Sequence[Event]:
    """Raises JOB_NOT_RESUMABLE, also if the job was resumed by another request meanwhile."""
    check_resumable(state)
    if command.after_round != state.round:
        raise Problem("JOB_NOT_RESUMABLE", "Another request has resumed the job meanwhile")
    assert state.job_id is not None, "a job that has ended was requested"
    assert state.user_id is not None, "a job that has ended has an owner"
    event = JobResumed(
        job_id=state.job_id,
        user_id=state.user_id,
        round=state.next_round,
        resumed_from=command.resumed_from,
        generations=command.generations,
        quoted=command.quoted,
        payer_id=state.payer_id,
    )
    if (size := encoded_size(event)) > MAX_PART:
        message = f"The list of what runs again takes {size} bytes, more than {MAX_PART}: resume fewer `generations`"
        raise Problem("VALIDATION_FAILED", message)
    return [event]
