"""A user's jobs, their generations and their history. Operators may read those of any user."""

from datetime import datetime
from operator import itemgetter
from typing import Literal
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency

from services.generation.queries.job import PAGE_BYTES, Queries
from services.generation.queries.job_breakdown import JobBreakdowns
from services.generation.queries.job_waits import JobWaits
from services.generation.routes.owners import owner_of
from services.generation.views.job import GenerationView, HistoryEntry, JobPage, JobSummary, JobView
from shared.contracts.sizes import encoded_size
from shared.eventstore import EventStore
from shared.eventstore.write_position import note
from shared.http import (
    LAST_NUMBER,
    Cursor,
    Envelope,
    FromPath,
    FromQuery,
    Limit,
    Page,
    User,
    cursor_number,
    encode_cursor,
    next_cursor,
)
from shared.http.auth import check_roles
from shared.runtime import Runtime

JobStatus = Literal[
    "pending", "processing", "rejected", "completed", "partially_completed", "failed", "cancelled", "expired"
]
GenerationStatus = Literal["pending", "processing", "completed", "failed", "cancelled"]


@get("/jobs", summary="Your jobs")
async def list_jobs(
    principal: User,
    queries: NamedDependency[Queries],
    job_waits: NamedDependency[JobWaits],
    limit: Limit = 50,
    cursor: Cursor = None,
    collection_id: FromQuery[UUID | None] = None,
    status: FromQuery[JobStatus | None] = None,
    since: FromQuery[datetime | None] = None,
    *,
    all_users: FromQuery[bool] = False,
) -> JobPage:
    """Newest first, without their generations; `since`: those requested then or later.

    With what each job waits for, and the number of jobs in each status. `all_users`, for operators: of all users.
    """
    if all_users:
        check_roles(principal, {"operator"})
    user_id = None if all_users else principal.user_id
    before = cursor_number(cursor, LAST_NUMBER)
    jobs = await queries.jobs(
        user_id, before=before, limit=limit + 1, collection_id=collection_id, status=status, since=since
    )
    page = [summary for _, summary in jobs[:limit]]
    waits = await job_waits.of(page)
    counts = await queries.job_counts(user_id, collection_id, since)
    summaries = [msgspec.structs.replace(summary, waiting_for=waits[summary.id]) for summary in page]
    return JobPage(summaries, counts, next_cursor(jobs, limit, itemgetter(0)))


@get("/jobs/{job_id:uuid}", summary="A job with its first generations")
async def read_job(
    job_id: FromPath[UUID],
    principal: User,
    queries: NamedDependency[Queries],
    job_waits: NamedDependency[JobWaits],
    job_breakdowns: NamedDependency[JobBreakdowns],
    runtime: NamedDependency[Runtime],
) -> Envelope[JobView]:
    """Its status, its credits, and its first generations with variables and outputs: 100 at most, and 90 KiB.

    `/jobs/{id}/generations` has the others, after `next_cursor`. `waiting_for`: why nothing of it is in progress.
    """
    summary, counts = await queries.job(job_id, owner_of(principal))
    await _note_end(summary, runtime.store)
    breakdown = await job_breakdowns.of(job_id)
    first = await queries.generations(job_id, room=PAGE_BYTES - encoded_size(breakdown))
    waits = await job_waits.of([summary])
    total = counts.pending + counts.processing + counts.completed + counts.failed
    view = JobView(
        **msgspec.structs.asdict(summary) | {"waiting_for": waits[job_id]},
        seconds_left=await job_waits.seconds_left(summary, counts.completed + counts.failed, total, runtime.clock()),
        generations=first.generations,
        next_cursor=_cursor_of_place(first.last),
        breakdown=breakdown,
    )
    return Envelope(view)


@get("/jobs/{job_id:uuid}/generations", summary="A job's generations")
async def list_generations(
    job_id: FromPath[UUID],
    principal: User,
    queries: NamedDependency[Queries],
    runtime: NamedDependency[Runtime],
    limit: Limit = 100,
    cursor: Cursor = None,
    status: FromQuery[GenerationStatus | None] = None,
) -> Page[GenerationView]:
    """Their variables and outputs, in the order of the request; a page has 90 KiB at most, or one generation.

    With `status`, those in it when their page is read: a generation whose status changes meanwhile may be on no page.
    """
    await _note_end(await queries.job_summary(job_id, owner_of(principal)), runtime.store)
    after = cursor_number(cursor, -1)
    page = await queries.generations(job_id, after=after, limit=limit, status=status)
    return Page(page.generations, _cursor_of_place(page.last))


@get("/jobs/{job_id:uuid}/history", summary="What happened to a job")
async def read_history(
    job_id: FromPath[UUID],
    principal: User,
    queries: NamedDependency[Queries],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[HistoryEntry]:
    """Every change, oldest first."""
    await queries.job_summary(job_id, owner_of(principal))
    after = cursor_number(cursor, 0)
    entries = await queries.job_history(job_id, after=after, limit=limit + 1)
    return Page([entry for _, entry in entries[:limit]], next_cursor(entries, limit, itemgetter(0)))


async def _note_end(summary: JobSummary, store: EventStore) -> None:
    """Makes the client's next reads, of any service, include what followed from the job's end."""
    if summary.completed_at is not None:
        note(await store.head())


def _cursor_of_place(last: int | None) -> str | None:
    return None if last is None else encode_cursor(last)
