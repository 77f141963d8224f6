"""HTTP → command or query → response. Amounts are JSON numbers, exact to 6 decimals."""

from collections.abc import AsyncIterator
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.response import Stream

from services.generation import queries
from services.generation.domain.planning.job_plan import Request
from services.generation.event_stream.hub import JobEventHub
from services.generation.event_stream.sse import MEDIA_TYPE, last_event_id, stream
from services.generation.job_requests import GenerationRequests
from services.generation.queries import GenerationView, HistoryEntry, JobSummary, JobView, WorkflowView
from services.generation.upload_grants import GrantSigner
from shared.contracts.amounts import to_credits
from shared.contracts.problem import Problem, not_found
from shared.eventstore import EventStore
from shared.eventstore.write_position import note
from shared.http import (
    LAST_NUMBER,
    ApiRequest,
    CommandContext,
    Cursor,
    Envelope,
    FromPath,
    FromQuery,
    JSONBody,
    Limit,
    Page,
    User,
    cursor_number,
    encode_cursor,
    next_cursor,
)
from shared.http.amounts import Credits, ExactResponse
from shared.http.positions import following
from shared.http.problems import ProblemBody

JobStatus = Literal["pending", "processing", "rejected", "completed", "partially_completed", "failed"]
GenerationStatus = Literal["pending", "processing", "completed", "failed"]


class GenerationsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to generate of a collection. What is left out, the collection's own `generations` say.

    `variables` sets some by name; the others are drawn. `hashes`: one per generation, else they are made.
    `dry_run` answers what it would cost and draw, and does nothing.
    """

    variables: dict[str, Any] = {}
    generations: int | None = None
    hashes: list[str] | None = None
    dry_run: bool = False


class AcceptedJob(msgspec.Struct, frozen=True):
    """`status` is pending when credits have not answered yet: the job goes on when they do."""

    job_id: UUID
    status: str
    events_url: str


class DrawnGeneration(msgspec.Struct, frozen=True):
    hash: str
    variables: dict[str, Any]
    cost: Credits


class Quote(msgspec.Struct, frozen=True):
    """What a request would cost, and what its generations would draw: of `total`, the first 100 at most.

    Fewer where they draw much. To see what others draw, ask with their hashes.
    """

    quoted: Credits
    generations: list[DrawnGeneration]
    total: int
    dry_run: bool = True


Handlers = list[HTTPRouteHandler]


def routes(
    requests: GenerationRequests,
    hub: JobEventHub,
    store: EventStore,
    signer: GrantSigner,
    public_url: str,
) -> Router:
    handlers = [
        *_generation_routes(requests, public_url),
        *_job_routes(store),
        *_event_routes(store, hub),
        *_workflow_routes(store, signer),
    ]
    return Router("/", route_handlers=handlers, response_class=ExactResponse)


def _generation_routes(requests: GenerationRequests, public_url: str) -> Handlers:
    @post(
        "/collections/{collection_id:uuid}/generations",
        status_code=202,
        summary="Generate a collection's artwork",
        opt=following("collections"),
        responses={
            200: ResponseSpec(Envelope[Quote], description="What it would be (`dry_run`)", generate_examples=False),
            402: ResponseSpec(ProblemBody, description="You have too few credits", generate_examples=False),
        },
    )
    async def generate(
        collection_id: FromPath[UUID], data: JSONBody[GenerationsRequest], principal: User, context: CommandContext
    ) -> Response[Envelope[AcceptedJob]]:
        """Starts a job of N generations, or with `dry_run` says what it would be.

        402 when you have too few credits; `Idempotency-Key` gives the same job again.
        """
        request = Request(data.variables, data.generations, data.hashes)
        if data.dry_run:
            planned = await requests.plan(collection_id, principal.user_id, request, context)
            drawn = [
                DrawnGeneration(each.hash, variables, to_credits(each.cost)) for each, variables in planned.samples()
            ]
            quote = Quote(to_credits(planned.plan.quoted), drawn, len(planned.plan.generations))
            return ExactResponse(Envelope(quote), status_code=200)
        job_id, job = await requests.request(collection_id, principal.user_id, request, context)
        url = f"{public_url.rstrip('/')}/jobs/{job_id}/events"
        return Response(Envelope(AcceptedJob(job_id, job.status, url)), status_code=202)

    return [generate]


def _job_routes(store: EventStore) -> Handlers:
    @get("/jobs", summary="Your jobs")
    async def list_jobs(
        principal: User,
        limit: Limit = 50,
        cursor: Cursor = None,
        collection_id: FromQuery[UUID | None] = None,
        status: FromQuery[JobStatus | None] = None,
    ) -> Page[JobSummary]:
        """The newest first, without their generations."""
        before = cursor_number(cursor, LAST_NUMBER)
        found = await queries.job_list(
            store,
            principal.user_id,
            before=before,
            limit=limit + 1,
            collection_id=collection_id,
            status=status,
        )
        return Page([summary for _, summary in found[:limit]], next_cursor(found, limit, itemgetter(0)))

    @get("/jobs/{job_id:uuid}", summary="A job with its first generations")
    async def read_job(job_id: FromPath[UUID], principal: User) -> Envelope[JobView]:
        """Its status, its credits, and what its first generations drew and made: 100 at most, and 90 KiB.

        With its `next_cursor`, `/jobs/{id}/generations` shows the others.
        """
        found = await queries.job(store, job_id, principal.user_id)
        if found is None:
            raise not_found("The job")
        summary, counts = found
        await _note_end(summary)
        first = await queries.generations(store, job_id)
        told = msgspec.structs.asdict(summary)
        view = JobView(**told, generation_counts=counts, generations=first.page, next_cursor=_place(first.last))
        return Envelope(view)

    @get("/jobs/{job_id:uuid}/generations", summary="A job's generations")
    async def list_generations(
        job_id: FromPath[UUID],
        principal: User,
        limit: Limit = 100,
        cursor: Cursor = None,
        status: FromQuery[GenerationStatus | None] = None,
    ) -> Page[GenerationView]:
        """What each drew and made, in the order of the request; a page has 90 KiB at most, or one generation.

        With `status`, those that are in it when their page is read: one that changes meanwhile may be on none.
        """
        await _note_end(await _must_own(store, job_id, principal.user_id))
        after = cursor_number(cursor, -1)
        found = await queries.generations(store, job_id, after=after, limit=limit, status=status)
        return Page(found.page, _place(found.last))

    async def _note_end(summary: JobSummary) -> None:
        """Who hears that it has ended asks other services for what came of it: they must have heard that too."""
        if summary.completed_at is not None:
            note(await store.head())

    @get("/jobs/{job_id:uuid}/history", summary="What happened to a job")
    async def read_history(
        job_id: FromPath[UUID], principal: User, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[HistoryEntry]:
        """Every change, the oldest first."""
        await _must_own(store, job_id, principal.user_id)
        after = cursor_number(cursor, 0)
        found = await queries.job_history(store, job_id, after=after, limit=limit + 1)
        return Page([entry for _, entry in found[:limit]], next_cursor(found, limit, itemgetter(0)))

    return [list_jobs, read_job, list_generations, read_history]


def _event_routes(store: EventStore, hub: JobEventHub) -> Handlers:
    @get("/jobs/{job_id:uuid}/events", summary="Follow a job (SSE)", media_type=MEDIA_TYPE)
    async def follow_job(job_id: FromPath[UUID], principal: User, request: ApiRequest) -> Response[Any]:
        """Events `job_status`, `node_started`, `node_progress`, `node_completed`, `image_generated`, `error`.

        Each recorded one has an id; `Last-Event-ID` replays what was missed. After the terminal event the stream ends.
        """
        after = last_event_id(request.headers)
        summary = await _must_own(store, job_id, principal.user_id)
        if after > (last := await queries.last_event(store, job_id)):
            # An id of another stream, or of a history that was taken back: what it means here is not known.
            after = 0
        elif summary.completed_at is not None and after == last:
            return Response(None, status_code=204)
        return _stream(stream(hub, job_id, after), after)

    return [follow_job]


def _workflow_routes(store: EventStore, signer: GrantSigner) -> Handlers:
    @get("/workflows", summary="The workflows that steps can name")
    async def list_workflows() -> Page[WorkflowView]:
        return Page(await queries.workflow_list(store))

    @get("/workflows/{workflow:str}", summary="One workflow, by id or name")
    async def read_workflow(workflow: FromPath[str]) -> Envelope[WorkflowView]:
        for view in await queries.workflow_list(store):
            if workflow in (str(view.id), view.name):
                return Envelope(view)
        raise Problem("WORKFLOW_NOT_FOUND", f"There is no workflow {workflow[:100]}")

    @get("/.well-known/jwks.json", opt={"public": True}, include_in_schema=False, sync_to_thread=False)
    def grant_keys() -> dict[str, Any]:
        return signer.jwks()

    return [list_workflows, read_workflow, grant_keys]


async def _must_own(store: EventStore, job_id: UUID, user_id: UUID) -> JobSummary:
    summary = await queries.job_summary(store, job_id, user_id)
    if summary is None:
        raise not_found("The job")
    return summary


def _place(last: int | None) -> str | None:
    return None if last is None else encode_cursor(last)


def _stream(body: AsyncIterator[bytes], after: int) -> Stream:
    """The edge reads where the stream begins, so that who follows the same job there can share it."""
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no", "emprops-stream-after": str(after)}
    return Stream(body, media_type=MEDIA_TYPE, headers=headers)
