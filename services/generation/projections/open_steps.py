"""The steps that wait for a result; a row is deleted when its attempt ends. Dispatch, watchdog and health read it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.generation.domain.generation import ready_at
from shared.contracts.generation import GenerationCancelled, StepCompleted, StepFailed, StepScheduled
from shared.eventstore import EventStore, RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  sid              uuid primary key,
  gid              uuid not null,
  job_id           uuid not null,
  attempt          integer not null,
  workflow_type    text not null,
  service_required text not null,
  workflow         text not null,
  stream_version   bigint not null,
  ready_at         timestamptz not null,
  is_delayed       boolean not null
);
create index {table}_ready on {table} (workflow_type, service_required, ready_at);
create index {table}_delayed on {table} (ready_at) where is_delayed"""

SELECT_ANY_OPEN_STEP: LiteralString = "select exists (select from open_steps_v3)"
COUNT_OPEN_STEPS: LiteralString = "select count(*) from open_steps_v3"
SELECT_READY_STEPS: LiteralString = """
select sid, gid, job_id, attempt, workflow_type, service_required, workflow, stream_version, ready_at, is_delayed
from open_steps_v3 where ready_at <= %s and not (sid = any(%s::uuid[])) order by ready_at limit %s"""
SELECT_STEPS: LiteralString = """
select sid, gid, job_id, attempt, workflow_type, service_required, workflow, stream_version, ready_at, is_delayed
from open_steps_v3 where sid = any(%s::uuid[])"""
SELECT_WAITS_OF_JOBS: LiteralString = """
with steps as (
  select job_id, workflow_type || '.' || service_required as kind, workflow, ready_at,
         sid = any(%s::uuid[]) as is_working, workflow in (select name from workflows_v4 where is_paused) as is_paused
  from open_steps_v3
), own as (
  select job_id, kind, count(*) as steps, count(*) filter (where is_working) as working,
         count(*) filter (where ready_at > clock_timestamp()) as delayed,
         min(ready_at) filter (where ready_at > clock_timestamp()) as until,
         min(ready_at) filter (where not is_working) as since,
         bool_and(is_paused) as is_paused, array_agg(distinct workflow) filter (where is_paused) as paused
  from steps where job_id = any(%s::uuid[]) group by job_id, kind
)
select job_id, kind, steps, working, delayed, until,
       (select count(*) from steps other where other.kind = own.kind and other.job_id <> own.job_id
         and not other.is_working and not other.is_paused and other.ready_at < own.since),
       case when is_paused then paused else '{}' end, since
from own order by job_id, kind"""
"""The open steps of jobs by kind, and how many others of the kind were ready earlier; see `KindOfSteps`."""


class OpenStepRow(msgspec.Struct, frozen=True):
    """`stream_version`: of the `step_scheduled` in the generation's stream; `ready_at`: when it may be sent."""

    sid: UUID
    gid: UUID
    job_id: UUID
    attempt: int
    workflow_type: str
    service_required: str
    workflow: str
    stream_version: int
    ready_at: datetime
    is_delayed: bool


class OpenSteps:
    """Reads the table."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def any(self) -> bool:
        [(exists,)] = await self._store.pool.rows(SELECT_ANY_OPEN_STEP, ())
        return bool(exists)

    async def count(self) -> int:
        [(count,)] = await self._store.pool.rows(COUNT_OPEN_STEPS, ())
        return int(count)

    async def ready_but(self, sids: Sequence[UUID], ready_before: datetime, limit: int) -> list[OpenStepRow]:
        """Steps that were ready by then, except those of these sids."""
        return await self._rows(SELECT_READY_STEPS, (ready_before, list(sids), limit))

    async def of_sids(self, sids: Sequence[UUID]) -> list[OpenStepRow]:
        """Those of these steps that wait for a result."""
        return await self._rows(SELECT_STEPS, (list(sids),))

    async def _rows(self, query: LiteralString, parameters: Sequence[Any]) -> list[OpenStepRow]:
        async with self._store.reader() as cursor:
            await cursor.execute(query, parameters)
            return [OpenStepRow(*row) for row in await cursor.fetchall()]


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    event = recorded.event
    if isinstance(event, GenerationCancelled):
        return [(stopped.sid,) for stopped in event.stopped]
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
        workflow=event.workflow,
        stream_version=recorded.version,
        ready_at=ready_at(event, recorded.recorded_at),
        is_delayed=event.not_before is not None,
    )


OPEN_STEPS = Projection(
    name="open_steps",
    version=3,
    row=OpenStepRow,
    key=("sid",),
    ddl=DDL,
    events=(StepScheduled, StepCompleted, StepFailed, GenerationCancelled),
    keys=keys,
    project=project,
)
