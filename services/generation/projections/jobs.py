"""One row per job: what its user sees of it, except its generations, which are only counted."""

from datetime import datetime
from typing import LiteralString, assert_never
from uuid import UUID

import msgspec

from shared.contracts.generation import (
    GenerationCompleted,
    GenerationFailed,
    GenerationStarted,
    JobAuthorized,
    JobCompleted,
    JobEvent,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
)
from shared.eventstore import EventStore, RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  job_id        uuid primary key,
  position      bigint not null,
  user_id       uuid not null,
  collection_id uuid not null,
  name          text not null,
  job_type      text not null,
  status        text not null,
  error         text,
  quoted        bigint not null,
  held          bigint not null,
  captured      bigint not null,
  total         integer not null,
  ended         integer not null,
  started       integer not null,
  completed     integer not null,
  failed        integer not null,
  created_at    timestamptz not null,
  started_at    timestamptz,
  completed_at  timestamptz
);
create index {table}_of_user on {table} (user_id, position desc);
create index {table}_pending on {table} (created_at) where status = 'pending'"""

COUNT_LONG_PENDING: LiteralString = """
select count(*), extract(epoch from clock_timestamp() - min(created_at))::float8,
       (select job_id::text from jobs_v2 where status = 'pending' order by created_at limit 1)
from jobs_v2 where status = 'pending' and created_at < clock_timestamp() - make_interval(secs => %s::float8)"""


class JobRow(msgspec.Struct, frozen=True):
    """`position` is that of the request: newer jobs have greater ones. Amounts are micro-credits.

    `ended` counts the ends that are recorded in the job's stream; `started`, `completed` and `failed` count the events
    of its generations, and so agree with the table of generations.
    """

    job_id: UUID
    position: int
    user_id: UUID
    collection_id: UUID
    name: str
    job_type: str
    status: str
    error: str | None
    quoted: int
    held: int
    captured: int
    total: int
    ended: int
    started: int
    completed: int
    failed: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


EVENTS: tuple[type[JobEvent], ...] = (
    JobRequested,
    JobAuthorized,
    JobRejected,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobCompleted,
    JobPartiallyCompleted,
    JobFailed,
)
"""The events of a job that clients see."""
GENERATION_EVENTS = (GenerationStarted, GenerationCompleted, GenerationFailed)


async def count_long_pending(store: EventStore, seconds: float) -> tuple[int, float, str | None]:
    """How many jobs have been pending for longer than this, the longest time in seconds, and that job's id."""
    [(count, longest, job_id)] = await store.pool.rows(COUNT_LONG_PENDING, (seconds,))
    return count, longest or 0.0, job_id


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    event = recorded.event
    return [(event.job_id if isinstance(event, GENERATION_EVENTS) else recorded.stream_id,)]


def project(row: JobRow | None, recorded: RecordedEvent) -> JobRow:
    event, at = recorded.event, recorded.recorded_at
    if isinstance(event, JobRequested):
        return _requested(event, recorded)
    assert row is not None, f"{recorded.type} at {recorded.position} comes before the job was requested"
    if isinstance(event, GENERATION_EVENTS):
        return _counted(row, event)
    replace = msgspec.structs.replace
    match event:
        case JobAuthorized():
            row = replace(row, status="processing", held=event.held, started_at=at)
        case JobRejected():
            row = replace(row, status="rejected", error=event.reason, completed_at=at)
        case JobGenerationCompleted():
            row = replace(row, ended=row.ended + 1)
        case JobGenerationFailed():
            row = replace(row, ended=row.ended + 1, error=row.error or event.error)
        case JobCompleted():
            row = replace(row, status="completed", captured=event.captured, completed_at=at)
        case JobPartiallyCompleted():
            row = replace(row, status="partially_completed", captured=event.captured, completed_at=at)
        case JobFailed():
            row = replace(row, status="failed", error=event.error, completed_at=at)
    return row


def _counted(row: JobRow, event: GenerationStarted | GenerationCompleted | GenerationFailed) -> JobRow:
    replace = msgspec.structs.replace
    match event:
        case GenerationStarted():
            return replace(row, started=row.started + 1)
        case GenerationCompleted():
            return replace(row, completed=row.completed + 1)
        case GenerationFailed():
            return replace(row, failed=row.failed + 1)
    assert_never(event)


def _requested(event: JobRequested, recorded: RecordedEvent) -> JobRow:
    return JobRow(
        job_id=event.job_id,
        position=recorded.position,
        user_id=event.user_id,
        collection_id=event.collection_id,
        name=event.name,
        job_type=event.job_type,
        status="pending",
        error=None,
        quoted=event.quoted,
        held=0,
        captured=0,
        total=event.count,
        ended=0,
        started=0,
        completed=0,
        failed=0,
        created_at=recorded.recorded_at,
        started_at=None,
        completed_at=None,
    )


JOBS = Projection(
    name="jobs",
    version=2,
    row=JobRow,
    key=("job_id",),
    ddl=DDL,
    events=(*EVENTS, *GENERATION_EVENTS),
    keys=keys,
    project=project,
)
