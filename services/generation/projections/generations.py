"""One row per generation: its place in the job, its drawn variables, and its outputs."""

from typing import Any
from uuid import UUID

import msgspec

from services.generation.projections.outputs import outputs_view
from shared.contracts.generation import (
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    GenerationResumed,
    GenerationStarted,
    JobGenerationsListed,
    JobRequested,
    JobResumed,
    JobResumeRejected,
)
from shared.contracts.sizes import encoded_size
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection

# The two indexes are for pages of a job's generations in the request's order, of all statuses and of one.
DDL = """
create table {table} (
  gid       uuid primary key,
  job_id    uuid not null,
  place     bigint not null,
  hash      text not null,
  status    text not null,
  variables json not null,
  error     text,
  outputs   json not null,
  size      integer not null
);
create index {table}_of_job on {table} (job_id, place);
create index {table}_of_status on {table} (job_id, status, place)"""
PART_PLACES = 10**6
"""Places for each part of a request: more than a part can have generations."""


class GenerationRow(msgspec.Struct, frozen=True):
    """`status`: pending, processing, completed, failed or cancelled. `place` orders them as they were requested."""

    gid: UUID
    job_id: UUID
    place: int
    hash: str
    status: str
    variables: dict[str, Any]
    error: str | None
    outputs: list[dict[str, Any]]
    size: int
    """Bytes of the hash, the variables, the error and the outputs as JSON."""


def keys(recorded: RecordedEvent) -> list[Key]:
    event = recorded.event
    if isinstance(event, JobRequested | JobGenerationsListed):
        return [(generation.gid,) for generation in event.generations]
    if isinstance(event, JobResumed | JobResumeRejected):
        return [(gid,) for gid in event.gids()]
    return [(recorded.stream_id,)]


def adds(recorded: RecordedEvent) -> dict[Key, GenerationRow]:
    """A job's generations have rows from its request on."""
    event = recorded.event
    if not isinstance(event, JobRequested | JobGenerationsListed):
        return {}
    first = event.number * PART_PLACES if isinstance(event, JobGenerationsListed) else 0
    return {
        (generation.gid,): _sized(
            GenerationRow(generation.gid, event.job_id, place, generation.hash, "pending", {}, None, [], 0)
        )
        for place, generation in enumerate(event.generations, start=first)
    }


def project(row: GenerationRow | None, recorded: RecordedEvent) -> GenerationRow:
    assert row is not None, f"{recorded.type} at {recorded.position} comes before its generation was requested"
    event, replace = recorded.event, msgspec.structs.replace
    match event:
        case GenerationStarted():
            row = replace(row, status="processing", variables=event.variables, error=None)
        case JobResumed():
            row = replace(row, status="pending")  # the error stays until it runs
        case JobResumeRejected():
            row = replace(row, status=_status_before(event, row.gid))
        case GenerationResumed():
            row = replace(row, status="processing", error=None)
        case GenerationCancelled():
            row = replace(row, status="cancelled", error=None, outputs=outputs_view(event.outputs))
        case GenerationCompleted():
            row = replace(row, status="completed", outputs=outputs_view(event.outputs))
        case GenerationFailed():
            row = replace(row, status="failed", error=event.error.text, outputs=outputs_view(event.outputs))
    return _sized(row)


def _status_before(event: JobResumeRejected, gid: UUID) -> str:
    statuses = {alike.status for alike in event.generations}
    if len(statuses) == 1:
        return statuses.pop()
    return next(alike.status for alike in event.generations if gid in alike.gids)


def _sized(row: GenerationRow) -> GenerationRow:
    return msgspec.structs.replace(row, size=encoded_size((row.hash, row.variables, row.error, row.outputs)))


GENERATIONS = Projection(
    name="generations",
    version=4,
    row=GenerationRow,
    key=("gid",),
    ddl=DDL,
    events=(
        JobRequested,
        JobGenerationsListed,
        JobResumed,
        JobResumeRejected,
        GenerationStarted,
        GenerationResumed,
        GenerationCompleted,
        GenerationFailed,
        GenerationCancelled,
    ),
    keys=keys,
    project=project,
    adds=adds,
)
