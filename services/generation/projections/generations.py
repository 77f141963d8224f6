"""One row per generation that started: what was drawn for it, and what it made."""

from typing import Any
from uuid import UUID

import msgspec

from services.generation.projections.outputs import outputs_view
from shared.contracts.generation import GenerationCompleted, GenerationFailed, GenerationStarted
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  gid       uuid primary key,
  job_id    uuid not null,
  hash      text not null,
  status    text not null,
  variables json not null,
  error     text,
  outputs   json not null
);
create index {table}_of_job on {table} (job_id)"""


class GenerationRow(msgspec.Struct, frozen=True):
    """`status`: processing, completed or failed."""

    gid: UUID
    job_id: UUID
    hash: str
    status: str
    variables: dict[str, Any]
    error: str | None
    outputs: list[dict[str, Any]]


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    return [(recorded.stream_id,)]


def project(row: GenerationRow | None, recorded: RecordedEvent) -> GenerationRow:
    event = recorded.event
    if isinstance(event, GenerationStarted):
        return GenerationRow(event.gid, event.job_id, event.hash, "processing", event.variables, None, [])
    assert row is not None, f"{recorded.type} at {recorded.position} comes before its generation"
    if isinstance(event, GenerationCompleted):
        return msgspec.structs.replace(row, status="completed", outputs=outputs_view(event.outputs))
    assert isinstance(event, GenerationFailed)
    error = f"{event.error.code}: {event.error.message}"
    return msgspec.structs.replace(row, status="failed", error=error, outputs=outputs_view(event.outputs))


GENERATIONS = Projection(
    name="generations",
    version=2,
    row=GenerationRow,
    key=("gid",),
    ddl=DDL,
    events=(GenerationStarted, GenerationCompleted, GenerationFailed),
    keys=keys,
    project=project,
)
