"""The projects of each user."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.collections import CurrentCollectionChosen, ProjectCreated, ProjectEvent, ProjectRenamed
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection


class ProjectRow(msgspec.Struct, frozen=True):
    id: UUID
    user_id: UUID
    name: str
    is_default: bool
    current_collection_id: UUID | None
    created_at: datetime


DDL = """
create table {table} (
  id uuid primary key,
  user_id uuid not null,
  name text not null,
  is_default boolean not null,
  current_collection_id uuid,
  created_at timestamptz not null
);
create index {table}_of_user on {table} (user_id, created_at, id)"""


def keys(recorded: RecordedEvent) -> Iterable[Key]:
    assert isinstance(recorded.event, ProjectEvent), recorded.type
    return ((recorded.stream_id,),)


def project(row: ProjectRow | None, recorded: RecordedEvent) -> ProjectRow | None:
    event = recorded.event
    if isinstance(event, ProjectCreated):
        return ProjectRow(event.project_id, event.user_id, event.name, event.is_default, None, recorded.recorded_at)
    if row is not None and isinstance(event, ProjectRenamed):
        return msgspec.structs.replace(row, name=event.name)
    if row is not None and isinstance(event, CurrentCollectionChosen):
        return msgspec.structs.replace(row, current_collection_id=event.collection_id)
    return row


PROJECTS = Projection(
    name="projects",
    version=1,
    row=ProjectRow,
    key=("id",),
    ddl=DDL,
    events=(ProjectCreated, ProjectRenamed, CurrentCollectionChosen),
    keys=keys,
    project=project,
)
