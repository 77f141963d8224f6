"""The steps that wait for a result; a row is deleted when its attempt ends. The watchdog and health read it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.generation.domain.generation import ready_at
from shared.contracts.generation import StepCompleted, StepFailed, StepScheduled
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
  stream_version   bigint not null,
  ready_at         timestamptz not null,
  is_delayed       boolean not null
);
create index {table}_ready on {table} (workflow_type, service_required, ready_at);
create index {table}_delayed on {table} (ready_at) where is_delayed"""

SELECT_ANY_OPEN_STEP: LiteralString = "select exists (select from open_steps_v1)"
COUNT_OPEN_STEPS: LiteralString = "select count(*) from open_steps_v1"
SELECT_DUE_RETRIES: LiteralString = """
select sid, gid, job_id, attempt, workflow_type, service_required, stream_version, ready_at, is_delayed
from open_steps_v1 where is_delayed and ready_at > %s and ready_at <= %s order by ready_at limit %s"""
SELECT_KINDS_OF_WORK: LiteralString = """
select workflow_type, service_required from open_steps_v1
where ready_at <= %s group by workflow_type, service_required"""
SELECT_STEPS_OF_KIND: LiteralString = """
select sid, gid, job_id, attempt, workflow_type, service_required, stream_version, ready_at, is_delayed
from open_steps_v1 where workflow_type = %s and service_required = %s and ready_at <= %s order by ready_at limit %s"""
SELECT_OVERDUE_STEPS: LiteralString = """
select sid, gid, job_id, attempt, workflow_type, service_required, stream_version, ready_at, is_delayed
from open_steps_v1 where ready_at <= least(%s, clock_timestamp()) - %s::interval order by ready_at limit %s"""
COUNT_OVERDUE_STEPS: LiteralString = """
select count(*), extract(epoch from clock_timestamp() - min(ready_at))::float8,
       (select sid::text from open_steps_v1 order by ready_at limit 1)
from open_steps_v1 where ready_at < clock_timestamp() - make_interval(secs => %s::float8)"""
"""How many, the oldest one's age in seconds since it was ready, and its sid."""


class OpenStepRow(msgspec.Struct, frozen=True):
    """`stream_version`: of the `step_scheduled` in the generation's stream; `ready_at`: when it may be sent."""

    sid: UUID
    gid: UUID
    job_id: UUID
    attempt: int
    workflow_type: str
    service_required: str
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

    async def due_retries(self, after: datetime, until: datetime, limit: int) -> list[OpenStepRow]:
        """Retries whose backoff ends after the first time and at the latest at the second."""
        return await self._rows(SELECT_DUE_RETRIES, (after, until, limit))

    async def kinds_of_work(self, ready_before: datetime) -> list[tuple[str, str]]:
        """The workflow types and required services of the steps that were ready by then."""
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_KINDS_OF_WORK, (ready_before,))
            return await cursor.fetchall()

    async def of_kind(
        self, workflow_type: str, service_required: str, ready_before: datetime, limit: int
    ) -> list[OpenStepRow]:
        return await self._rows(SELECT_STEPS_OF_KIND, (workflow_type, service_required, ready_before, limit))

    async def overdue(self, now: datetime, deadline: timedelta, limit: int) -> list[OpenStepRow]:
        """Steps past their deadline both by `now` and by the database's clock: a lost attempt can't be taken back."""
        return await self._rows(SELECT_OVERDUE_STEPS, (now, deadline, limit))

    async def count_overdue(self, seconds: float) -> tuple[int, float, str | None]:
        """How many steps became ready longer ago than this, the greatest age in seconds, and the oldest one's sid."""
        [(count, age, sid)] = await self._store.pool.rows(COUNT_OVERDUE_STEPS, (seconds,))
        return count, age or 0.0, sid

    async def _rows(self, query: LiteralString, parameters: Sequence[Any]) -> list[OpenStepRow]:
        async with self._store.reader() as cursor:
            await cursor.execute(query, parameters)
            return [OpenStepRow(*row) for row in await cursor.fetchall()]


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
