"""What users read: jobs, their history, and the workflows."""

from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.generation.domain.amounts import to_credits
from services.generation.domain.workflow import read_definition
from services.generation.facts import Jobs
from shared.eventstore import EventStore
from shared.http.amounts import Credits

JOB: LiteralString = """
select job_id, position, collection_id, user_id, name, job_type, status, error, quoted, held, captured,
       total, ended, created_at, started_at, completed_at
from jobs_v1 where job_id = %b and user_id = %b"""
JOBS: LiteralString = """
select job_id, position, collection_id, user_id, name, job_type, status, error, quoted, held, captured,
       total, ended, created_at, started_at, completed_at
from jobs_v1 where user_id = %b and position < %b and (%b::uuid is null or collection_id = %b::uuid)
  and (%b::text is null or status = %b::text)
order by position desc limit %b"""
GENERATIONS: LiteralString = "select gid, status, variables, error, outputs from generations_v2 where job_id = %b"
HISTORY: LiteralString = """
select position, status, message, data, created_at from job_history_v2
where job_id = %b and position > %b order by position limit %b"""
WORKFLOWS: LiteralString = "select workflow_id, name, version, definition, updated_at from workflows_v2 order by name"
LAST_EVENT: LiteralString = "select max(position) from job_events_v2 where job_id = %b"


class JobCredits(msgspec.Struct, frozen=True):
    """Credits, exact to 6 decimals."""

    quoted: Credits
    held: Credits
    captured: Credits


class GenerationView(msgspec.Struct, frozen=True):
    """One artwork of a job. `status`: pending, processing, completed or failed."""

    gid: UUID
    hash: str
    status: str
    variables: dict[str, Any]
    error: str | None
    outputs: list[dict[str, Any]]


class JobSummary(msgspec.Struct, frozen=True):
    """A job as a list shows it: without its generations, which may be thousands."""

    id: UUID
    name: str
    job_type: str
    status: str
    progress: float
    collection_id: UUID
    user_id: UUID
    error: str | None
    credits: JobCredits
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class JobView(msgspec.Struct, frozen=True):
    """A job as its user sees it. `progress` is from 0 to 1."""

    id: UUID
    name: str
    job_type: str
    status: str
    progress: float
    collection_id: UUID
    user_id: UUID
    error: str | None
    credits: JobCredits
    generations: list[GenerationView]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class HistoryEntry(msgspec.Struct, frozen=True):
    status: str
    message: str
    data: dict[str, Any]
    created_at: datetime


class WorkflowView(msgspec.Struct, frozen=True):
    """A workflow in its newest version: what a step's payload may set, and what it costs in credits."""

    id: UUID
    name: str
    version: int
    type: str
    cost: Credits
    form: dict[str, Any]
    updated_at: datetime


async def job(store: EventStore, jobs: Jobs, job_id: UUID, user_id: UUID) -> JobView | None:
    """A user's job with its generations in the order of the request; None when there is none such of this user's."""
    summary = await job_summary(store, job_id, user_id)
    facts = await jobs.facts(job_id) if summary is not None else None
    if summary is None or facts is None:
        return None
    async with store.reader() as cursor:
        await cursor.execute(GENERATIONS, (job_id,))
        started = {row[0]: row[1:] for row in await cursor.fetchall()}
    waiting: tuple[str, dict[str, Any], str | None, list[dict[str, Any]]] = ("pending", {}, None, [])
    generations = []
    for each in facts.generations:
        status, variables, error, outputs = started.get(each.gid, waiting)
        generations.append(GenerationView(each.gid, each.hash, status, variables, error, outputs))
    return JobView(**msgspec.structs.asdict(summary), generations=generations)


async def job_summary(store: EventStore, job_id: UUID, user_id: UUID) -> JobSummary | None:
    async with store.reader() as cursor:
        await cursor.execute(JOB, (job_id, user_id))
        row = await cursor.fetchone()
    return _summary(row)[1] if row is not None else None


async def job_list(
    store: EventStore, user_id: UUID, *, before: int, limit: int, collection_id: UUID | None, status: str | None
) -> list[tuple[int, JobSummary]]:
    """A user's jobs with their positions, below position `before`, the newest first."""
    async with store.reader() as cursor:
        await cursor.execute(JOBS, (user_id, before, collection_id, collection_id, status, status, limit))
        return [_summary(row) for row in await cursor.fetchall()]


async def job_history(store: EventStore, job_id: UUID, *, after: int, limit: int) -> list[tuple[int, HistoryEntry]]:
    """A job's history with positions, behind position `after`, the oldest first."""
    async with store.reader() as cursor:
        await cursor.execute(HISTORY, (job_id, after, limit))
        return [(row[0], HistoryEntry(*row[1:])) for row in await cursor.fetchall()]


async def last_event(store: EventStore, job_id: UUID) -> int:
    """Position of the last thing that was told of a job; 0 when nothing was."""
    async with store.reader() as cursor:
        await cursor.execute(LAST_EVENT, (job_id,))
        row = await cursor.fetchone()
    return row[0] or 0 if row is not None else 0


async def workflow_list(store: EventStore) -> list[WorkflowView]:
    async with store.reader() as cursor:
        await cursor.execute(WORKFLOWS)
        rows = await cursor.fetchall()
    views = []
    for workflow_id, name, version, document, updated_at in rows:
        read = read_definition(name, version, document)
        views.append(
            WorkflowView(
                id=workflow_id,
                name=name,
                version=version,
                type=read.type,
                cost=Decimal(read.cost),
                form=document["form"],
                updated_at=updated_at,
            )
        )
    return views


def _summary(row: tuple[Any, ...]) -> tuple[int, JobSummary]:
    (
        job_id,
        position,
        collection_id,
        user_id,
        name,
        job_type,
        status,
        error,
        quoted,
        held,
        captured,
        total,
        ended,
        created_at,
        started_at,
        completed_at,
    ) = row
    summary = JobSummary(
        id=job_id,
        name=name,
        job_type=job_type,
        status=status,
        progress=ended / total if total else 0.0,
        collection_id=collection_id,
        user_id=user_id,
        error=error,
        credits=JobCredits(to_credits(quoted), to_credits(held), to_credits(captured)),
        created_at=created_at,
        started_at=started_at,
        completed_at=completed_at,
    )
    return position, summary
