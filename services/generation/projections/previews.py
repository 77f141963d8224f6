"""What visitors' jobs have of their allowances: one row per job, for the owner of the collection."""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.generation import PreviewReserved, PreviewSettled
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  job_id        uuid primary key,
  collection_id uuid not null,
  visitor_id    uuid not null,
  generations   integer not null,
  is_open       boolean not null,
  requested_at  timestamptz not null
);
create index {table}_of_visitor on {table} (collection_id, visitor_id)"""


class PreviewRow(msgspec.Struct, frozen=True):
    """`generations`: those that count: of an open job all, of one that has ended those that have completed.

    `requested_at`: when the job was requested, or resumed.
    """

    job_id: UUID
    collection_id: UUID
    visitor_id: UUID
    generations: int
    is_open: bool
    requested_at: datetime


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    event = recorded.event
    assert isinstance(event, PreviewReserved | PreviewSettled)
    return [(event.job_id,)]


def project(row: PreviewRow | None, recorded: RecordedEvent) -> PreviewRow:
    event = recorded.event
    if isinstance(event, PreviewReserved):
        return PreviewRow(
            event.job_id, event.collection_id, event.visitor_id, event.generations, True, recorded.recorded_at
        )
    assert isinstance(event, PreviewSettled)
    assert row is not None, f"{recorded.type} at {recorded.position} comes before the job was requested"
    return msgspec.structs.replace(row, generations=event.completed, is_open=False)


PREVIEWS = Projection(
    name="previews",
    version=1,
    row=PreviewRow,
    key=("job_id",),
    ddl=DDL,
    events=(PreviewReserved, PreviewSettled),
    keys=keys,
    project=project,
)
