"""The newest version of each workflow."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.generation import WorkflowDeprecated, WorkflowRegistered
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  workflow_id uuid primary key,
  name        text not null,
  version     integer not null,
  digest      text not null,
  definition  json not null,
  updated_at  timestamptz not null,
  deprecated  text
);
create unique index {table}_name on {table} (name)"""


class WorkflowRow(msgspec.Struct, frozen=True):
    workflow_id: UUID
    name: str
    version: int
    digest: str
    definition: dict[str, Any]
    updated_at: datetime
    deprecated: str | None = None
    """Why, if it is."""


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    return [(recorded.stream_id,)]


def project(row: WorkflowRow | None, recorded: RecordedEvent) -> WorkflowRow | None:
    match recorded.event:
        case WorkflowRegistered() as event:
            return WorkflowRow(
                event.workflow_id, event.name, event.version, event.digest, event.definition, recorded.recorded_at
            )
        case WorkflowDeprecated(reason=reason):
            assert row is not None, "a workflow is registered before it is deprecated"
            return msgspec.structs.replace(row, deprecated=reason, updated_at=recorded.recorded_at)
    raise AssertionError(f"{recorded.type} is not an event of a workflow")


WORKFLOWS = Projection(
    name="workflows",
    version=3,
    row=WorkflowRow,
    key=("workflow_id",),
    ddl=DDL,
    events=(WorkflowRegistered, WorkflowDeprecated),
    keys=keys,
    project=project,
)
