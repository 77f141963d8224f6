"""Requesting generations of a collection."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from services.generation.domain.planning.job_plan import JobRequest
from services.generation.job_requests import JobRequests
from shared.contracts.amounts import to_credits
from shared.http import CommandContext, Envelope, FromPath, JSONBody, User
from shared.http.amounts import Credits, ExactResponse
from shared.http.positions import following
from shared.http.problems import ProblemBody
from shared.runtime import Runtime


class GenerationsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to generate of a collection. Members that are left out are as in the collection's own `generations`.

    `variables` sets some by name; the others are drawn. `hashes`: one per generation; without them, hashes are made.
    `dry_run` answers what the job would cost and draw, and records nothing.
    """

    variables: dict[str, Any] = {}
    generations: int | None = None
    hashes: list[str] | None = None
    dry_run: bool = False


class AcceptedJob(msgspec.Struct, frozen=True):
    """`status` is pending if credits have not been held yet; the job starts when they are."""

    job_id: UUID
    status: str
    events_url: str


class DrawnGeneration(msgspec.Struct, frozen=True):
    hash: str
    variables: dict[str, Any]
    cost: Credits


class Quote(msgspec.Struct, frozen=True):
    """What a job of `total` generations would cost, with the variables of the first 100 at most.

    Fewer if these are large. To see those of others, ask with their hashes.
    """

    quoted: Credits
    generations: list[DrawnGeneration]
    total: int
    dry_run: bool = True


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
    collection_id: FromPath[UUID],
    data: JSONBody[GenerationsRequest],
    principal: User,
    context: CommandContext,
    job_requests: NamedDependency[JobRequests],
    runtime: NamedDependency[Runtime],
) -> Response[Envelope[AcceptedJob]]:
    """Starts a job of N generations, or with `dry_run` answers what it would cost and draw.

    402 if you have too few credits. With the same `Idempotency-Key`, the same job is answered again.
    """
    request = JobRequest(data.variables, data.generations, data.hashes)
    if data.dry_run:
        planned = await job_requests.plan(collection_id, principal.user_id, request, context)
        samples = [
            DrawnGeneration(generation.hash, variables, to_credits(generation.cost))
            for generation, variables in planned.samples()
        ]
        quote = Quote(to_credits(planned.plan.quoted), samples, len(planned.plan.generations))
        return ExactResponse(Envelope(quote), status_code=200)
    job_id, job = await job_requests.request(collection_id, principal.user_id, request, context)
    url = f"{runtime.settings.public_url.rstrip('/')}/jobs/{job_id}/events"
    return Response(Envelope(AcceptedJob(job_id, job.status, url)), status_code=202)
