"""One row per job: what its user sees of it, except its generations, which are only counted."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import LiteralString, assert_never
from uuid import UUID

import msgspec

from shared.contracts.generation import (
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    GenerationResumed,
    GenerationStarted,
    JobAuthorized,
    JobCancelled,
    JobCompleted,
    JobEvent,
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
)
from shared.eventstore import EventStore, RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  job_id        uuid primary key,
  position      bigint not null,
  user_id       uuid not null,
  collection_id uuid not null,
  workflows     text not null,
  name          text not null,
  job_type      text not null,
  status        text not null,
  error         text,
  quoted        bigint not null,
  held          bigint not null,
  captured      bigint not null,
  released      bigint not null,
  total         integer not null,
  ended         integer not null,
  started       integer not null,
  completed     integer not null,
  failed        integer not null,
  cancelled     integer not null,
  round         integer not null,
  is_paused     boolean not null,
  moved_at      timestamptz not null,
  created_at    timestamptz not null,
  started_at    timestamptz,
  completed_at  timestamptz,
  max_queue_seconds double precision
);
create index {table}_of_user on {table} (user_id, position desc);
create index {table}_completed on {table} (workflows, position desc) where status = 'completed';
create index {table}_pending on {table} (created_at) where status = 'pending';
create index {table}_open on {table} (moved_at) where status in ('pending', 'processing')"""

COUNT_LONG_PENDING: LiteralString = """
select count(*), extract(epoch from clock_timestamp() - min(created_at))::float8,
       (select job_id::text from jobs_v5 where status = 'pending' order by created_at limit 1)
from jobs_v5 where status = 'pending' and created_at < clock_timestamp() - make_interval(secs => %s::float8)"""


class JobRow(msgspec.Struct, frozen=True):
    """`position` is that of the request: newer jobs have greater ones. Amounts are micro-credits.

    `workflows`: see `digest_of_workflows`.

    `quoted`, `held`, `captured` and `released` are sums over the job's rounds: what is held and neither captured nor
    released is held now. `ended` counts the ends that are recorded in the job's stream; `started`, `completed`,
    `failed` and `cancelled` count the events of its generations, and so agree with the table of generations.
    `moved_at`: when the job or one of its generations last changed. `max_queue_seconds`: how long it may wait; None:
    as in the settings.
    """

    job_id: UUID
    position: int
    user_id: UUID
    collection_id: UUID
    workflows: str
    name: str
    job_type: str
    status: str
    error: str | None
    quoted: int
    held: int
    captured: int
    released: int
    total: int
    ended: int
    started: int
    completed: int
    failed: int
    cancelled: int
    round: int
    is_paused: bool
    moved_at: datetime
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    max_queue_seconds: float | None = None


EVENTS: tuple[type[JobEvent], ...] = (
    JobRequested,
    JobAuthorized,
    JobRejected,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobCompleted,
    JobPartiallyCompleted,
    JobFailed,
    JobCancelled,
    JobExpired,
    JobResumed,
    JobResumeRejected,
    JobPaused,
    JobUnpaused,
)
"""The events of a job that clients see."""
GENERATION_EVENTS = (
    GenerationStarted,
    GenerationResumed,
    GenerationCompleted,
    GenerationFailed,
    GenerationCancelled,
)


GenerationCounted = GenerationStarted | GenerationResumed | GenerationCompleted | GenerationFailed | GenerationCancelled


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
        return msgspec.structs.replace(_counted(row, event), moved_at=at)
    return msgspec.structs.replace(_moved(row, recorded), moved_at=at)


def _moved(row: JobRow, recorded: RecordedEvent) -> JobRow:  # noqa: C901 - a case for each event
    event, at, replace = recorded.event, recorded.recorded_at, msgspec.structs.replace
    match event:
        case JobAuthorized():
            held = row.held + event.held
            row = replace(row, status="processing", held=held, started_at=row.started_at or at)
        case JobRejected():
            row = replace(row, status="rejected", error=event.reason, completed_at=at)
        case JobGenerationCompleted():
            row = replace(row, ended=row.ended + 1)
        case JobGenerationFailed():
            row = replace(row, ended=row.ended + 1, error=row.error or event.error)
        case JobCompleted():
            row = _ended(row, "completed", event.captured, at)
        case JobPartiallyCompleted():
            row = _ended(row, "partially_completed", event.captured, at)
        case JobFailed():
            row = replace(_ended(row, "failed", 0, at), error=event.error)
        case JobCancelled():
            row = replace(_ended(row, "cancelled", event.captured, at), ended=row.total)
        case JobExpired():
            row = replace(_ended(row, "expired", event.captured, at), ended=row.total, error=event.reason)
        case JobResumed():
            row = replace(_resumed(row, event, 1), status="pending", error=None, round=event.round, completed_at=None)
        case JobResumeRejected():
            row = replace(_resumed(row, event, -1), status=event.status, error=event.reason, completed_at=at)
        case JobPaused() | JobUnpaused():
            row = replace(row, is_paused=isinstance(event, JobPaused))
    return row


def _ended(row: JobRow, status: str, captured: int, at: datetime) -> JobRow:
    """`captured`: of the hold of the round that ended. The rest of it is released."""
    captured += row.captured
    return msgspec.structs.replace(
        row, status=status, captured=captured, released=row.held - captured, completed_at=at, is_paused=False
    )


def _resumed(row: JobRow, event: JobResumed | JobResumeRejected, sign: int) -> JobRow:
    """`sign` -1: takes a resume back."""
    resumed = sign * len(event.gids())
    failed = sign * sum(len(alike.gids) for alike in event.generations if alike.status == "failed")
    return msgspec.structs.replace(
        row,
        quoted=row.quoted + sign * event.quoted,
        ended=row.ended - resumed,
        started=row.started - resumed,
        failed=row.failed - failed,
        cancelled=row.cancelled - (resumed - failed),
    )


def _counted(row: JobRow, event: GenerationCounted) -> JobRow:
    replace = msgspec.structs.replace
    match event:
        case GenerationStarted() | GenerationResumed():
            return replace(row, started=row.started + 1)
        case GenerationCancelled():
            started = row.started if event.was_running else row.started + 1
            return replace(row, started=started, cancelled=row.cancelled + 1)
        case GenerationCompleted():
            return replace(row, completed=row.completed + 1)
        case GenerationFailed():
            return replace(row, failed=row.failed + 1)
    assert_never(event)


def digest_of_workflows(names: Iterable[str]) -> str:
    """The same for jobs that run the same workflows, of any version: 64 hex digits."""
    return sha256(msgspec.json.encode(sorted(names))).hexdigest()


def _requested(event: JobRequested, recorded: RecordedEvent) -> JobRow:
    return JobRow(
        job_id=event.job_id,
        position=recorded.position,
        user_id=event.user_id,
        collection_id=event.collection_id,
        workflows=digest_of_workflows(event.workflow_versions),
        name=event.name,
        job_type=event.job_type,
        status="pending",
        error=None,
        quoted=event.quoted,
        held=0,
        captured=0,
        released=0,
        total=event.count,
        ended=0,
        started=0,
        completed=0,
        failed=0,
        cancelled=0,
        round=0,
        is_paused=False,
        moved_at=recorded.recorded_at,
        created_at=recorded.recorded_at,
        started_at=None,
        completed_at=None,
        max_queue_seconds=event.max_queue_seconds,
    )


JOBS = Projection(
    name="jobs",
    version=5,
    row=JobRow,
    key=("job_id",),
    ddl=DDL,
    events=(*EVENTS, *GENERATION_EVENTS),
    keys=keys,
    project=project,
)
