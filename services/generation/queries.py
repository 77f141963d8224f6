"""What users read: jobs, their history, and the workflows."""

from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.generation.domain.workflow import read_definition
from shared.contracts.amounts import to_credits
from shared.contracts.sizes import KIB
from shared.eventstore import EventStore
from shared.http.amounts import Credits

JOB: LiteralString = """
select job_id, position, collection_id, user_id, name, job_type, status, error, quoted, held, captured,
       total, ended, started, completed, failed, created_at, started_at, completed_at
from jobs_v2 where job_id = %b and user_id = %b"""
JOBS: LiteralString = """
select job_id, position, collection_id, user_id, name, job_type, status, error, quoted, held, captured,
       total, ended, started, completed, failed, created_at, started_at, completed_at
from jobs_v2 where user_id = %b and position < %b and (%b::uuid is null or collection_id = %b::uuid)
  and (%b::text is null or status = %b::text)
order by position desc limit %b"""
# A page ends before the generation that makes it too large, and has at least one. Sizes stand in the rows, so that
# nothing large is read of those that are left out.
GENERATIONS: LiteralString = """
select place, gid, hash, status, variables, error, outputs, found from (
  select page.*, sum(size + %b) over (order by place) as upto, count(*) over () as found
  from (select * from generations_v3 where job_id = %b and place > %b order by place limit %b) page
) counted where upto <= %b or upto = size + %b order by place"""
GENERATIONS_OF_STATUS: LiteralString = """
select place, gid, hash, status, variables, error, outputs, found from (
  select page.*, sum(size + %b) over (order by place) as upto, count(*) over () as found
  from (
    select * from generations_v3 where job_id = %b and status = %b and place > %b order by place limit %b
  ) page
) counted where upto <= %b or upto = size + %b order by place"""
HISTORY: LiteralString = """
select position, status, message, data, created_at from job_history_v2
where job_id = %b and position > %b order by position limit %b"""
WORKFLOWS: LiteralString = "select workflow_id, name, version, definition, updated_at from workflows_v2 order by name"
LAST_EVENT: LiteralString = "select max(position) from job_events_v2 where job_id = %b"

FIRST_PAGE = 100
"""Generations that a job's own answer shows."""
PAGE_BYTES = 90 * KIB
"""Bytes of a page of generations: with the job around it, an answer has 100 KB at most."""
NAMES_BYTES = 130
"""Of a generation as JSON, beside its hash, variables, error and outputs: its id, its status and the members' names."""


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


class GenerationCounts(msgspec.Struct, frozen=True):
    """How many of a job's generations are in each status."""

    pending: int
    processing: int
    completed: int
    failed: int


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
    """A job as its user sees it. `progress` is from 0 to 1.

    `generations` are the first ones, in the order of the request; with `next_cursor`, `/jobs/{id}/generations` shows
    those behind them. It is null when these are all. `generation_counts` counts all of them.
    """

    id: UUID
    name: str
    job_type: str
    status: str
    progress: float
    collection_id: UUID
    user_id: UUID
    error: str | None
    credits: JobCredits
    generation_counts: GenerationCounts
    generations: list[GenerationView]
    next_cursor: str | None
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


class Generations(msgspec.Struct, frozen=True):
    """A page of a job's generations; `last` is the place of the last of them, and None when no others follow."""

    page: list[GenerationView]
    last: int | None


async def job(store: EventStore, job_id: UUID, user_id: UUID) -> tuple[JobSummary, GenerationCounts] | None:
    """A user's job without its generations; None when there is none such of this user's."""
    async with store.reader() as cursor:
        await cursor.execute(JOB, (job_id, user_id))
        row = await cursor.fetchone()
    return _read_job(row)[1:] if row is not None else None


async def generations(
    store: EventStore, job_id: UUID, *, after: int = -1, limit: int = FIRST_PAGE, status: str | None = None
) -> Generations:
    """A job's generations behind a place, in the order of the request: so many at most, and PAGE_BYTES of them."""
    bounds = (limit + 1, PAGE_BYTES, NAMES_BYTES)
    async with store.reader() as cursor:
        if status is None:
            await cursor.execute(GENERATIONS, (NAMES_BYTES, job_id, after, *bounds))
        else:
            await cursor.execute(GENERATIONS_OF_STATUS, (NAMES_BYTES, job_id, status, after, *bounds))
        rows = await cursor.fetchall()
    page, found = rows[:limit], rows[0][-1] if rows else 0
    return Generations([GenerationView(*row[1:-1]) for row in page], page[-1][0] if found > len(page) else None)


async def job_summary(store: EventStore, job_id: UUID, user_id: UUID) -> JobSummary | None:
    found = await job(store, job_id, user_id)
    return found[0] if found is not None else None


async def job_list(
    store: EventStore, user_id: UUID, *, before: int, limit: int, collection_id: UUID | None, status: str | None
) -> list[tuple[int, JobSummary]]:
    """A user's jobs with their positions, below position `before`, the newest first."""
    async with store.reader() as cursor:
        await cursor.execute(JOBS, (user_id, before, collection_id, collection_id, status, status, limit))
        return [_read_job(row)[:2] for row in await cursor.fetchall()]


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


def _read_job(row: tuple[Any, ...]) -> tuple[int, JobSummary, GenerationCounts]:
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
        started,
        completed,
        failed,
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
    ended_itself = completed + failed
    return position, summary, GenerationCounts(total - started, started - ended_itself, completed, failed)
