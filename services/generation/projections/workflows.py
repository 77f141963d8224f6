"""The newest version of each workflow."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.generation import WorkflowRegistered
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  workflow_id uuid primary key,
  name        text not null,
  version     integer not null,
  digest      text not null,
  definition  json not null,
  updated_at  timestamptz not null
);
create unique index {table}_name on {table} (name)"""


class WorkflowRow(msgspec.Struct, frozen=True):
    workflow_id: UUID
    name: str
    version: int
    digest: str
    definition: dict[str, Any]
    updated_at: datetime


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    return [(recorded.stream_id,)]


def project(_: WorkflowRow | None, recorded: RecordedEvent) -> WorkflowRow:
    event = recorded.event
    assert isinstance(event, WorkflowRegistered)
    return WorkflowRow(
        event.workflow_id, event.name, event.version, event.digest, event.definition, recorded.recorded_at
    )


WORKFLOWS = Projection(
    name="workflows",
    version=2,
    row=WorkflowRow,
    key=("workflow_id",),
    ddl=DDL,
    events=(WorkflowRegistered,),
    keys=keys,
    project=project,
)
