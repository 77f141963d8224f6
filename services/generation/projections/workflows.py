"""The newest version of each workflow."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.generation import WorkflowDeprecated, WorkflowPaused, WorkflowRegistered, WorkflowUnpaused
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
  deprecated  text,
  is_paused   boolean not null,
  pause_reason  text not null,
  pause_moved_at timestamptz
);
create unique index {table}_name on {table} (name)"""


class WorkflowRow(msgspec.Struct, frozen=True):
    """`pause_reason`: the operator's reason; `pause_moved_at`: when the workflow was last paused or unpaused."""

    workflow_id: UUID
    name: str
    version: int
    digest: str
    definition: dict[str, Any]
    updated_at: datetime
    deprecated: str | None = None
    """Why, if it is."""
    is_paused: bool = False
    pause_reason: str = ""
    pause_moved_at: datetime | None = None


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    return [(recorded.stream_id,)]


def project(row: WorkflowRow | None, recorded: RecordedEvent) -> WorkflowRow | None:
    match recorded.event:
        case WorkflowRegistered() as event:
            return WorkflowRow(
                event.workflow_id,
                event.name,
                event.version,
                event.digest,
                event.definition,
                recorded.recorded_at,
                is_paused=row is not None and row.is_paused,
                pause_reason=row.pause_reason if row is not None else "",
                pause_moved_at=row.pause_moved_at if row is not None else None,
            )
        case WorkflowDeprecated(reason=reason):
            assert row is not None, "a workflow is registered before it is deprecated"
            return msgspec.structs.replace(row, deprecated=reason, updated_at=recorded.recorded_at)
        case WorkflowPaused() | WorkflowUnpaused() as event:
            assert row is not None, "a workflow is registered before it is paused"
            return msgspec.structs.replace(
                row,
                is_paused=isinstance(event, WorkflowPaused),
                pause_reason=event.reason if isinstance(event, WorkflowPaused) else "",
                pause_moved_at=recorded.recorded_at,
            )
    raise AssertionError(f"{recorded.type} is not an event of a workflow")


WORKFLOWS = Projection(
    name="workflows",
    version=4,
    row=WorkflowRow,
    key=("workflow_id",),
    ddl=DDL,
    events=(WorkflowRegistered, WorkflowDeprecated, WorkflowPaused, WorkflowUnpaused),
    keys=keys,
    project=project,
)
