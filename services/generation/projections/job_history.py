"""A job's history for its user: one row per change, with a message."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.generation.projections.jobs import EVENTS
from shared.contracts.amounts import credits_text
from shared.contracts.generation import (
    JobAuthorized,
    JobCancelled,
    JobCompleted,
    JobExpired,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobPartiallyCompleted,
    JobPaused,
    JobRejected,
    JobRequested,
    JobResumed,
    JobResumeRejected,
    JobUnpaused,
    StepFailed,
)
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  job_id     uuid not null,
  position   bigint not null,
  status     text not null,
  message    text not null,
  data       json not null,
  created_at timestamptz not null,
  primary key (job_id, position)
)"""


class HistoryRow(msgspec.Struct, frozen=True):
    """`status` is the job's from then on."""

    job_id: UUID
    position: int
    status: str
    message: str
    data: dict[str, Any]
    created_at: datetime


def keys(recorded: RecordedEvent) -> list[tuple[UUID, int]]:
    event = recorded.event
    return [(event.job_id if isinstance(event, StepFailed) else recorded.stream_id, recorded.position)]


def project(_: HistoryRow | None, recorded: RecordedEvent) -> HistoryRow:
    (key,) = keys(recorded)
    status, message, data = _entry(recorded)
    return HistoryRow(*key, status, message, data, recorded.recorded_at)


def _entry(recorded: RecordedEvent) -> tuple[str, str, dict[str, Any]]:  # noqa: C901, PLR0912 - a case for each event
    """Status, message and data."""
    entry: tuple[str, str, dict[str, Any]]
    match recorded.event:
        case JobRequested(count=count, quoted=quoted):
            message = f"{_count(count)} requested for {credits_text(quoted)} credits"
            entry = "pending", message, {"generations": count}
        case JobAuthorized(held=held):
            entry = "processing", f"{credits_text(held)} credits are held", {}
        case JobRejected(code=code, reason=reason):
            entry = "rejected", reason, {"code": code}
        case JobGenerationCompleted(gid=gid, ended=ended, total=total):
            entry = "processing", f"A generation completed: {ended} of {total} ended", {"gid": gid}
        case JobGenerationFailed(gid=gid, error=error, ended=ended, total=total):
            message = f"A generation failed: {ended} of {total} ended"
            entry = "processing", message, {"gid": gid, "error": error}
        case StepFailed() as event:
            entry = "processing", _step_failed(event), {"gid": event.gid, "step_id": event.component_id}
        case JobCompleted(captured=captured):
            entry = "completed", f"Every generation completed for {credits_text(captured)} credits", {}
        case JobPartiallyCompleted(captured=captured, failed=failed):
            message = f"{_count(failed)} failed; the others took {credits_text(captured)} credits"
            entry = "partially_completed", message, {"failed": failed}
        case JobFailed(error=error):
            entry = "failed", f"Every generation failed: {error}", {}
        case JobCancelled() as event:
            entry = "cancelled", _stopped("The job was cancelled", event), {"completed": event.completed}
        case JobExpired(reason=reason) as event:
            entry = "expired", _stopped(reason, event), {"completed": event.completed}
        case JobResumed(generations=alike, quoted=quoted, resumed_from=resumed_from, round=round_):
            count = sum(len(group.gids) for group in alike)
            message = f"{_count(count)} resumed from {resumed_from} for {credits_text(quoted)} credits"
            entry = "pending", message, {"generations": count, "round": round_}
        case JobResumeRejected(status=status, reason=reason, code=code):
            entry = status, f"The resume was rejected: {reason}", {"code": code}
        case JobPaused(reason=reason):
            entry = "processing", f"An operator paused the job{': ' if reason else ''}{reason}", {}
        case JobUnpaused():
            entry = "processing", "An operator continued the job", {}
        case _:
            raise AssertionError(f"{recorded.type} is not in a job's history")
    return entry


def _step_failed(event: StepFailed) -> str:
    end = "for good" if event.final else "and is tried again"
    return f"Attempt {event.attempt} of step {event.component_id} failed {end}: {event.error.text}"


def _stopped(reason: str, event: JobCancelled | JobExpired) -> str:
    captured, released = credits_text(event.captured), credits_text(event.released)
    return f"{reason}: {captured} credits are captured, {released} released; {_count(event.cancelled)} cancelled"


def _count(generations: int) -> str:
    return "1 generation" if generations == 1 else f"{generations} generations"


JOB_HISTORY = Projection(
    name="job_history",
    version=3,
    row=HistoryRow,
    key=("job_id", "position"),
    ddl=DDL,
    events=(*EVENTS, StepFailed),
    keys=keys,
    project=project,
    append_only=True,
)
