"""The steps that wait for a result: what the watchdog looks at. A row goes when its attempt has ended."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.generation.domain.generation import ready_at
from shared.contracts.generation import StepCompleted, StepFailed, StepScheduled
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  sid              uuid primary key,
  gid              uuid not null,
  job_id           uuid not null,
  attempt          integer not null,
  workflow_type    text not null,
  service_required text not null,
  stream_version   bigint not null,
  ready_at         timestamptz not null,
  is_delayed       boolean not null
);
create index {table}_ready on {table} (workflow_type, service_required, ready_at);
create index {table}_delayed on {table} (ready_at) where is_delayed"""


class OpenStepRow(msgspec.Struct, frozen=True):
    """`stream_version` is where the generation's stream has the `step_scheduled`; `ready_at` when it may be sent."""

    sid: UUID
    gid: UUID
    job_id: UUID
    attempt: int
    workflow_type: str
    service_required: str
    stream_version: int
    ready_at: datetime
    is_delayed: bool


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    event = recorded.event
    assert isinstance(event, StepScheduled | StepCompleted | StepFailed)
    return [(event.sid,)]


def project(_: OpenStepRow | None, recorded: RecordedEvent) -> OpenStepRow | None:
    event = recorded.event
    if not isinstance(event, StepScheduled):
        return None
    return OpenStepRow(
        sid=event.sid,
        gid=event.gid,
        job_id=event.job_id,
        attempt=event.attempt,
        workflow_type=event.workflow_type,
        service_required=event.service_required,
        stream_version=recorded.version,
        ready_at=ready_at(event, recorded.recorded_at),
        is_delayed=event.not_before is not None,
    )


OPEN_STEPS = Projection(
    name="open_steps",
    version=1,
    row=OpenStepRow,
    key=("sid",),
    ddl=DDL,
    events=(StepScheduled, StepCompleted, StepFailed),
    keys=keys,
    project=project,
)
