"""The end of a round of a job: generation by generation, or all at once."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.generation.domain.job.state import Job, evolve
from shared.contracts.event import Event
from shared.contracts.generation import (
    JobCompleted,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobPartiallyCompleted,
)


class EndGeneration(msgspec.Struct, frozen=True):
    """One generation ended in a round. `error` None: it completed, and its `cost` in micro-credits is captured.

    `is_cancelled`: it was cancelled, and `cost` is that of its finished steps.
    """

    gid: UUID
    cost: int = 0
    error: str | None = None
    round: int = 0
    is_cancelled: bool = False


class EndGenerations(msgspec.Struct, frozen=True):
    """Several generations ended; recorded in one append, because a job's stream is written by one append at a time."""

    ends: list[EndGeneration]


class Abandon(msgspec.Struct, frozen=True):
    """The job can't be carried out: all of its open generations fail with this error."""

    error: str


def abandon(command: Abandon, state: Job) -> Sequence[Event]:
    gids = sorted(state.places, key=state.places.__getitem__)
    return end([EndGeneration(gid, error=command.error, round=state.round) for gid in gids], state)


def end(ends: Sequence[EndGeneration], state: Job) -> Sequence[Event]:
    """Ignores generations that have ended already, are of another round, or do not belong to the job.

    The end of the last open one ends the round. Cancelled ones end with `stop.finish_stop`.
    """
    job_id, user_id = state.job_id, state.user_id
    is_running = state.status == "processing" or (state.status == "pending" and state.stopping)
    if not is_running or job_id is None or user_id is None:
        return []
    events: list[Event] = []
    for ending in ends:
        if not state.is_open(ending.gid) or ending.round != state.round or ending.is_cancelled:
            continue
        ended, total = state.ended + 1, state.total
        event = (
            JobGenerationCompleted(job_id=job_id, gid=ending.gid, cost=ending.cost, ended=ended, total=total)
            if ending.error is None
            else JobGenerationFailed(job_id=job_id, gid=ending.gid, error=ending.error, ended=ended, total=total)
        )
        events.append(event)
        state = evolve(state, event)
    if events and not state.open:
        events.append(_outcome(state, job_id, user_id))
    return events


def _outcome(state: Job, job_id: UUID, user_id: UUID) -> Event:
    failed, round_, payer_id = len(state.unfinished), state.round, state.payer_id
    if not failed:
        return JobCompleted(job_id=job_id, user_id=user_id, captured=state.captured, round=round_, payer_id=payer_id)
    if failed == state.total:
        return JobFailed(job_id=job_id, user_id=user_id, error=state.error, round=round_, payer_id=payer_id)
    return JobPartiallyCompleted(
        job_id=job_id, user_id=user_id, captured=state.captured, failed=failed, round=round_, payer_id=payer_id
    )
