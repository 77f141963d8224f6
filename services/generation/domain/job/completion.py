"""The end of a job: generation by generation, or all at once."""

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
    """One generation ended. `error` None: it completed, and its `cost` in micro-credits is captured."""

    gid: UUID
    cost: int = 0
    error: str | None = None


class EndGenerations(msgspec.Struct, frozen=True):
    """Several generations ended; recorded in one append, because a job's stream is written by one append at a time."""

    ends: list[EndGeneration]


class Abandon(msgspec.Struct, frozen=True):
    """The job can't be carried out: all of its open generations fail with this error."""

    error: str


def abandon(command: Abandon, state: Job) -> Sequence[Event]:
    gids = sorted(state.places, key=state.places.__getitem__)
    return end([EndGeneration(gid, error=command.error) for gid in gids], state)


def end(ends: Sequence[EndGeneration], state: Job) -> Sequence[Event]:
    """Ignores generations that have ended or are not the job's. The end of the last open one ends the job."""
    job_id, user_id = state.job_id, state.user_id
    if state.status != "processing" or job_id is None or user_id is None:
        return []
    events: list[Event] = []
    for one in ends:
        if not state.is_open(one.gid):
            continue
        ended, total = state.ended + 1, state.total
        event = (
            JobGenerationCompleted(job_id=job_id, gid=one.gid, cost=one.cost, ended=ended, total=total)
            if one.error is None
            else JobGenerationFailed(job_id=job_id, gid=one.gid, error=one.error, ended=ended, total=total)
        )
        events.append(event)
        state = evolve(state, event)
    if events and not state.open:
        events.append(_outcome(state, job_id, user_id))
    return events


def _outcome(state: Job, job_id: UUID, user_id: UUID) -> Event:
    if not state.failed:
        return JobCompleted(job_id=job_id, user_id=user_id, captured=state.captured)
    if state.failed == state.total:
        return JobFailed(job_id=job_id, user_id=user_id, error=state.error)
    return JobPartiallyCompleted(job_id=job_id, user_id=user_id, captured=state.captured, failed=state.failed)
