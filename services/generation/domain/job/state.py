"""A job: one request for N generations, from its quote to what is captured of it."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Literal, assert_never
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import (
    JobAuthorized,
    JobCompleted,
    JobDisowned,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobGenerationsListed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    RequestedGeneration,
)
from shared.contracts.problem import Problem
from shared.contracts.sizes import KIB, MAX_PART, encoded_size
from shared.persistent import Map

Status = Literal["", "disowned", "pending", "processing", "completed", "partially_completed", "failed", "rejected"]
JOB_TYPE = "collection_generation"
INLINE = 128 * KIB
"""Bytes of generations that stand in the request itself: about 900 of them, with the hashes that we make."""


class Job(msgspec.Struct, frozen=True):
    """State. Status "": not requested; "disowned": a hold was placed for it, and it does not exist.

    `places`: of the generations that have not ended, each one's number in the request. The map is a persistent one,
    because a job of 10,000 generations has a new state 10,000 times.
    """

    job_id: UUID | None = None
    user_id: UUID | None = None
    status: Status = ""
    quoted: int = 0
    captured: int = 0
    total: int = 0
    failed: int = 0
    places: Map[UUID, int] = Map()
    error: str = ""

    @property
    def open(self) -> int:
        return len(self.places)

    def is_open(self, gid: UUID) -> bool:
        return gid in self.places


def evolve(state: Job, event: Event) -> Job:
    replace = msgspec.structs.replace
    match event:
        case JobDisowned():
            state = state if state.status else replace(state, status="disowned")
        case JobRequested():
            state = Job(
                job_id=event.job_id,
                user_id=event.user_id,
                status="pending",
                quoted=event.quoted,
                total=event.count,
                places=Map(zip(event.gids(), count(), strict=False)),
            )
        case JobAuthorized():
            state = replace(state, status="processing")
        case JobRejected():
            state = replace(state, status="rejected", error=event.reason)
        case JobGenerationCompleted():
            state = replace(state, places=state.places.delete(event.gid), captured=state.captured + event.cost)
        case JobGenerationFailed():
            left = state.places.delete(event.gid)
            state = replace(state, places=left, failed=state.failed + 1, error=state.error or event.error)
        case JobCompleted():
            state = replace(state, status="completed")
        case JobPartiallyCompleted():
            state = replace(state, status="partially_completed")
        case JobFailed():
            state = replace(state, status="failed")
    return state


class RequestJob(msgspec.Struct, frozen=True):
    """A planned job (`planning.plan_job`)."""

    job_id: UUID
    user_id: UUID
    collection_id: UUID
    project_id: UUID
    title: str
    data: dict[str, Any]
    workflow_versions: dict[str, int]
    variables: dict[str, Any]
    generations: list[RequestedGeneration]
    quoted: int
    encryption_enabled: bool


class Authorize(msgspec.Struct, frozen=True):
    """Credits of this user are held for the job."""

    job_id: UUID
    user_id: UUID
    held: int


class Reject(msgspec.Struct, frozen=True):
    code: str
    reason: str


class EndGeneration(msgspec.Struct, frozen=True):
    """One generation ended. `error` None: it succeeded, and its cost is captured."""

    gid: UUID
    cost: int = 0
    error: str | None = None


class EndGenerations(msgspec.Struct, frozen=True):
    """Several at once, so that a large job does not append one by one."""

    ends: list[EndGeneration]


class Abandon(msgspec.Struct, frozen=True):
    """The job can't be carried out at all: whatever is open of it fails."""

    error: str


Command = RequestJob | Authorize | Reject | EndGenerations | Abandon


def decide(command: Command, state: Job) -> Sequence[Event]:
    if isinstance(command, RequestJob):
        if state.status == "disowned":
            raise Problem("CONFLICT", "This request was taken back with later history: send it with another key")
        return [] if state.status else _requested(command)
    if isinstance(command, Authorize) and state.user_id != command.user_id:
        return [JobDisowned(job_id=command.job_id, user_id=command.user_id)]
    if state.job_id is None:
        return []
    match command:
        case EndGenerations():
            return _end(command.ends, state)
        case Abandon():
            in_order = sorted(state.places, key=state.places.__getitem__)
            return _end([EndGeneration(gid, error=command.error) for gid in in_order], state)
        case Authorize() | Reject():
            return [_verdict(command, state, state.job_id)] if state.status == "pending" else []
    assert_never(command)


def _verdict(command: Authorize | Reject, state: Job, job_id: UUID) -> Event:
    if isinstance(command, Authorize):
        if command.held == state.quoted:
            return JobAuthorized(job_id=job_id, held=command.held)
        command = Reject("HOLD_DIFFERS", "Credits holds another amount than the job was quoted")
    return JobRejected(job_id=job_id, code=command.code, reason=command.reason, user_id=state.user_id)


def _requested(command: RequestJob) -> list[Event]:
    """The request, and in events of their own the generations that don't fit into it."""
    first, *others = _parts(command.generations)
    requested = JobRequested(
        job_id=command.job_id,
        name=f"Collection Generation: {command.title}",
        job_type=JOB_TYPE,
        user_id=command.user_id,
        collection_id=command.collection_id,
        project_id=command.project_id,
        data=command.data,
        workflow_versions=command.workflow_versions,
        variables=command.variables,
        generations=first,
        quoted=command.quoted,
        encryption_enabled=command.encryption_enabled,
        total=len(command.generations) if others else 0,
        parts=len(others),
    )
    listed = (JobGenerationsListed(command.job_id, number, part) for number, part in enumerate(others, start=1))
    return [requested, *listed]


def _parts(generations: Sequence[RequestedGeneration]) -> list[list[RequestedGeneration]]:
    """The generations in parts: the first one stands beside all else that a request says."""
    parts: list[list[RequestedGeneration]] = [[]]
    left = INLINE
    for each in generations:
        size = encoded_size(each) + 1
        if size > left:
            parts.append([])
            left = MAX_PART
        parts[-1].append(each)
        left -= size
    return parts


def _end(ends: Sequence[EndGeneration], state: Job) -> Sequence[Event]:
    """What ended before, and what is not the job's, changes nothing; the last end ends the job."""
    if state.status != "processing" or state.job_id is None or state.user_id is None:
        return []
    events: list[Event] = []
    for end in ends:
        if not state.is_open(end.gid):
            continue
        ended, total = state.total - state.open + 1, state.total
        event = (
            JobGenerationCompleted(job_id=state.job_id, gid=end.gid, cost=end.cost, ended=ended, total=total)
            if end.error is None
            else JobGenerationFailed(job_id=state.job_id, gid=end.gid, error=end.error, ended=ended, total=total)
        )
        events.append(event)
        state = evolve(state, event)
    if events and not state.open:
        events.append(_outcome(state))
    return events


def _outcome(state: Job) -> Event:
    assert state.job_id is not None
    assert state.user_id is not None
    if not state.failed:
        return JobCompleted(job_id=state.job_id, user_id=state.user_id, captured=state.captured)
    if state.failed == state.total:
        return JobFailed(job_id=state.job_id, user_id=state.user_id, error=state.error)
    return JobPartiallyCompleted(
        job_id=state.job_id, user_id=state.user_id, captured=state.captured, failed=state.failed
    )
