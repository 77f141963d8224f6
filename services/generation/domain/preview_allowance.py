"""A visitor's allowance: how many generations of another user's collection they may make, over all of their jobs.

A job has what it reserves until its round has ended, and from then on as many as have completed: what failed, was
cancelled or was declined does not count. A reservation states all that the job may have after the round, so it replaces
an earlier one of the job, and it does not matter whether that round's end was recorded before.
"""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import JobRequested, JobResumed, PreviewReserved, PreviewSettled, allowance_id
from shared.contracts.problem import Detail, Problem
from shared.persistent import Map

POINTER = "/generations"
"""Where requests and resumes say how many generations they are for."""


class JobShare(msgspec.Struct, frozen=True):
    """What a job has of the allowance. `is_open`: its round has not ended."""

    round: int
    generations: int
    is_open: bool


class PreviewAllowance(msgspec.Struct, frozen=True):
    """`jobs`: those that have something of the allowance."""

    jobs: Map[UUID, JobShare] = Map()
    used: int = 0
    """Generations of all jobs together."""

    def generations_of(self, job_id: UUID) -> int:
        share = self.jobs.get(job_id)
        return share.generations if share is not None else 0

    def left(self, most: int, job_id: UUID | None = None) -> int:
        """How many of at most `most` generations a job may have, with those that it has already."""
        others = self.used - (self.generations_of(job_id) if job_id is not None else 0)
        return max(0, most - others)


def evolve(state: PreviewAllowance, event: Event) -> PreviewAllowance:
    match event:
        case PreviewReserved():
            return _with(state, event.job_id, JobShare(event.round, event.generations, is_open=True))
        case PreviewSettled():
            return _with(state, event.job_id, JobShare(event.round, event.completed, is_open=False))
    raise AssertionError(f"{event!r} is not an event of a visitor's allowance")


def _with(state: PreviewAllowance, job_id: UUID, share: JobShare) -> PreviewAllowance:
    used = state.used - state.generations_of(job_id) + share.generations
    jobs = state.jobs.set(job_id, share) if share.generations or share.is_open else state.jobs.delete(job_id)
    return PreviewAllowance(jobs, used)


class PreviewLimit(msgspec.Struct, frozen=True):
    """`most`: how many generations of the collection this visitor may make."""

    collection_id: UUID
    visitor_id: UUID
    most: int

    @property
    def stream_id(self) -> UUID:
        return allowance_id(self.collection_id, self.visitor_id)


class Reserve(msgspec.Struct, frozen=True):
    """For a round of a job. `generations`: of the job in all rounds."""

    limit: PreviewLimit
    job_id: UUID
    round: int
    generations: int


class Settle(msgspec.Struct, frozen=True):
    """A round of a job has ended. `completed`: its generations in all rounds."""

    collection_id: UUID
    visitor_id: UUID
    job_id: UUID
    round: int
    completed: int


Command = Reserve | Settle


def decide(command: Command, state: PreviewAllowance) -> Sequence[Event]:
    """Idempotent. Raises PREVIEW_LIMIT_REACHED."""
    match command:
        case Reserve():
            return _reserve(command, state)
        case Settle():
            return _settle(command, state)
        case _ as never:
            assert_never(never)


def _reserve(command: Reserve, state: PreviewAllowance) -> Sequence[Event]:
    share = state.jobs.get(command.job_id)
    if share is not None and share.round >= command.round:
        return []
    limit = command.limit
    left = state.left(limit.most, command.job_id)
    if command.generations > left:
        raise limit_problem(limit.most, left - state.generations_of(command.job_id))
    return [
        PreviewReserved(
            collection_id=limit.collection_id,
            visitor_id=limit.visitor_id,
            job_id=command.job_id,
            round=command.round,
            generations=command.generations,
        )
    ]


def _settle(command: Settle, state: PreviewAllowance) -> Sequence[Event]:
    share = state.jobs.get(command.job_id)
    if share is None or share.round > command.round or not share.is_open:
        return []
    return [
        PreviewSettled(
            collection_id=command.collection_id,
            visitor_id=command.visitor_id,
            job_id=command.job_id,
            round=command.round,
            completed=command.completed,
        )
    ]


def limit_problem(most: int, left: int) -> Problem:
    """`left`: how many further generations the visitor may make."""
    allowed = f"Each visitor may make {most} generations of this collection"
    if left <= 0:
        return Problem("PREVIEW_LIMIT_REACHED", f"{allowed}, and you have none left", Detail(POINTER, "none are left"))
    detail = f"{allowed}, and you have {left} left"
    return Problem("PREVIEW_LIMIT_REACHED", detail, Detail(POINTER, f"must be {left} at most"))


def reservation(event: Event, completed: int, limit: PreviewLimit) -> Reserve:
    """What the request or resume of a job that has `completed` generations takes of its user's allowance."""
    match event:
        case JobRequested():
            return Reserve(limit, event.job_id, 0, event.count)
        case JobResumed():
            return Reserve(limit, event.job_id, event.round, completed + len(event.gids()))
        case _:
            raise AssertionError(f"{event!r} takes nothing of an allowance")
