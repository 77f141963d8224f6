"""The events that clients who follow a job receive: one row per event; its id is the event's position in the store."""

from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.generation.projections.jobs import EVENTS
from services.generation.projections.outputs import is_image, output_view, outputs_view
from shared.contracts.amounts import to_credits
from shared.contracts.generation import (
    GenerationCompleted,
    GenerationEvent,
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
    StepCompleted,
    StepFailed,
    StepScheduled,
)
from shared.eventstore import RecordedEvent
from shared.projections import Projection

TERMINAL = frozenset({"completed", "partially_completed", "failed", "rejected", "cancelled", "expired"})
"""Statuses after which a job has no more events, unless it is resumed."""

DDL = """
create table {table} (
  position bigint primary key,
  job_id   uuid not null,
  event    text not null,
  data     json not null
);
create index {table}_of_job on {table} (job_id, position)"""

# Both queries end a page with the row that brings its data to so many bytes. The data of jobs without followers is
# not read.
SELECT_NEW_EVENTS: LiteralString = """
select position, job_id, event, data, size from (
  select page.*, sum(size) over (order by position) - size as before from (
    select position, job_id, event, followed.data, coalesce(octet_length(followed.data), 0) as size
    from job_events_v3 row
      cross join lateral (select case when job_id = any(%s) then row.data::text end as data) followed
    where position > %s order by position limit %s) page) counted
where before < %s order by position"""
"""Of all jobs, after a position; with the data of the jobs that are followed."""
SELECT_EVENTS_OF_JOB: LiteralString = """
select position, job_id, event, data from (
  select page.*, sum(octet_length(data)) over (order by position) - octet_length(data) as before from (
    select position, job_id, event, data::text as data
    from job_events_v3 where job_id = %s and position > %s order by position limit %s) page) counted
where before < %s order by position"""
SELECT_NEWEST_POSITION: LiteralString = "select coalesce(max(position), 0) from job_events_v3"
SELECT_LAST_POSITION_OF_JOB: LiteralString = "select max(position) from job_events_v3 where job_id = %s"


class JobEventRow(msgspec.Struct, frozen=True):
    """`event`: job_status, job_paused, node_started, node_completed, image_generated or error."""

    position: int
    job_id: UUID
    event: str
    data: dict[str, Any]


def keys(recorded: RecordedEvent) -> list[tuple[int]]:
    return [(recorded.position,)]


def project(_: JobEventRow | None, recorded: RecordedEvent) -> JobEventRow | None:
    event = recorded.event
    client_event = _of_generation(event) if isinstance(event, GenerationEvent) else _of_job(recorded)
    if client_event is None:
        return None
    name, job_id, data = client_event
    return JobEventRow(recorded.position, job_id, name, {"job_id": job_id, **data})


ClientEvent = tuple[str, UUID, dict[str, Any]]
"""Name, job id and data."""


def _of_job(recorded: RecordedEvent) -> ClientEvent:  # noqa: C901, PLR0912 - a case for each event
    progress = 0.0
    more: dict[str, Any] = {}
    match recorded.event:
        case JobRequested(count=count, quoted=quoted):
            status, more = "pending", {"generations": count, "quoted": float(to_credits(quoted))}
        case JobAuthorized(held=held):
            status, more = "processing", {"held": float(to_credits(held))}
        case JobRejected(code=code, reason=reason):
            status, more = "rejected", {"code": code, "error": reason}
        case JobGenerationCompleted(gid=gid, ended=ended, total=total):
            status, progress, more = "processing", ended / max(total, 1), {"gid": gid}
        case JobGenerationFailed(gid=gid, error=error, ended=ended, total=total):
            status, progress, more = "processing", ended / max(total, 1), {"gid": gid, "error": error}
        case JobCompleted(captured=captured):
            status, progress, more = "completed", 1.0, {"captured": float(to_credits(captured))}
        case JobPartiallyCompleted(captured=captured, failed=failed):
            status, progress = "partially_completed", 1.0
            more = {"captured": float(to_credits(captured)), "failed": failed}
        case JobFailed(error=error):
            status, progress, more = "failed", 1.0, {"error": error}
        case JobCancelled() as event:
            status, progress, more = "cancelled", 1.0, _stopped(event)
        case JobExpired(reason=reason) as event:
            status, progress, more = "expired", 1.0, {"error": reason, **_stopped(event)}
        case JobResumed(round=round_, quoted=quoted, generations=alike):
            count = sum(len(group.gids) for group in alike)
            status, more = "pending", {"round": round_, "generations": count, "quoted": float(to_credits(quoted))}
        case JobResumeRejected(code=code, reason=reason):
            status, progress, more = recorded.event.status, 1.0, {"code": code, "error": reason}
        case JobPaused() | JobUnpaused():
            return "job_paused", recorded.stream_id, {"is_paused": isinstance(recorded.event, JobPaused)}
        case _:
            raise AssertionError(f"{recorded.type} has no client event")
    return "job_status", recorded.stream_id, {"status": status, "progress": progress, **more}


def _stopped(event: JobCancelled | JobExpired) -> dict[str, Any]:
    return {
        "completed": event.completed,
        "cancelled": event.cancelled,
        "captured": float(to_credits(event.captured)),
        "released": float(to_credits(event.released)),
    }


def _of_generation(event: GenerationEvent) -> ClientEvent | None:
    match event:
        case StepScheduled():
            data = {**_step(event), "workflow": event.workflow, "not_before": event.not_before}
            return "node_started", event.job_id, data
        case StepCompleted():
            outputs = [output_view(event.component_id, output) for output in event.outputs]
            return "node_completed", event.job_id, {**_step(event), "outputs": outputs}
        case StepFailed():
            error = {"code": event.error.code, "message": event.error.message, "retrying": not event.final}
            return "error", event.job_id, {**_step(event), **error}
        case GenerationCompleted():
            images = [view for view in outputs_view(event.outputs) if is_image(view)]
            if images:
                # The last image in the order of steps is the artwork; earlier ones went into it.
                return "image_generated", event.job_id, {"gid": event.gid, **images[-1], "images": images}
    return None


def _step(event: StepScheduled | StepCompleted | StepFailed) -> dict[str, Any]:
    return {"gid": event.gid, "sid": event.sid, "step_id": event.component_id, "attempt": event.attempt}


JOB_EVENTS = Projection(
    name="job_events",
    version=3,
    row=JobEventRow,
    key=("position",),
    ddl=DDL,
    events=(*EVENTS, StepScheduled, StepCompleted, StepFailed, GenerationCompleted),
    keys=keys,
    project=project,
    append_only=True,
)
