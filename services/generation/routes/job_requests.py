"""Requesting generations of a collection."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from msgspec import Meta

from services.generation.domain.planning.job_plan import JobRequest
from services.generation.handlers.job_requests import JobRequests, PlannedJob
from services.generation.queries.collection_source import RequiredVersion
from services.generation.settings import GenerationSettings
from services.generation.views.job import StepCostView, events_url, step_costs
from shared.contracts.amounts import to_credits
from shared.contracts.collections import Payer
from shared.contracts.generation_input import Step
from shared.contracts.problem import Detail, invalid
from shared.contracts.references import walk
from shared.http import (
    CommandContext,
    CommandPrecondition,
    Envelope,
    FromPath,
    JSONBody,
    Precondition,
    User,
    cursor_number,
    encode_cursor,
)
from shared.http.amounts import Credits, ExactResponse
from shared.http.idempotency import ANOTHER_RESOURCE
from shared.http.positions import following
from shared.http.problems import ProblemBody
from shared.runtime import Runtime


class GenerationsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to generate of a collection. Members that are left out are as in the collection's own `generations`.

    `variables` sets some by name; the others are drawn. `hashes`: one per generation; without them, hashes are made.
    `dry_run` answers what the job would cost and draw, and records nothing: `limit` generations, from `cursor` on.
    `dry_run_token`: the job draws exactly what that dry run showed, or is refused. `collection_version`: the version
    that the request is based on, as `If-Match`: it is refused if title, instructions, encryption or owner have changed
    since. `max_queue_seconds`: how long the job may wait for its credits, its start or a worker before it expires.
    """

    variables: dict[str, Any] = {}
    generations: int | None = None
    hashes: list[str] | None = None
    dry_run: bool = False
    dry_run_token: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: str | None = None
    collection_version: Annotated[int, Meta(ge=1)] | None = None
    max_queue_seconds: float | None = None


class AcceptedJob(msgspec.Struct, frozen=True):
    """`status` is pending if credits have not been held yet; the job starts when they are.

    `warnings`: steps whose workflow is deprecated, and members of the instructions that are not known and ignored.
    """

    job_id: UUID
    status: str
    events_url: str
    warnings: list[Detail] = []


class DrawnGeneration(msgspec.Struct, frozen=True):
    hash: str
    variables: dict[str, Any]
    cost: Credits


class PlannedStepView(msgspec.Struct, frozen=True):
    """A step as it would run. `needs`: the steps whose outputs it takes; `models`: files that it may load."""

    step_id: int
    workflow: str
    version: int
    type: str
    service: str
    needs: list[int]
    produces: str
    models: list[str]


class PreviewQuote(msgspec.Struct, frozen=True):
    """What a visitor of another user's collection may do. `left`: further generations, of at most `max_generations`."""

    max_generations: int
    left: int
    paid_by: Payer


class Quote(msgspec.Struct, frozen=True):
    """What a job of `total` generations would cost, step by step, with the variables of the first ones.

    To see those of others, ask with `cursor`: `next_cursor`, and with `dry_run_token`. `preview` is null for the
    collection's owner; `plan` and `breakdown` are empty for visitors who may not remix it.
    `warnings`: as in the answer to the request.
    """

    quoted: Credits
    generations: list[DrawnGeneration]
    total: int
    plan: list[PlannedStepView]
    breakdown: list[StepCostView]
    dry_run_token: str
    next_cursor: str | None
    preview: PreviewQuote | None
    dry_run: bool = True
    warnings: list[Detail] = []


@post(
    "/collections/{collection_id:uuid}/generations",
    status_code=202,
    summary="Generate a collection's artwork",
    opt=following("collections") | ANOTHER_RESOURCE,
    responses={
        200: ResponseSpec(Envelope[Quote], description="What it would be (`dry_run`)", generate_examples=False),
        402: ResponseSpec(
            ProblemBody, description="Its payer has too few credits, or a spend limit", generate_examples=False
        ),
        403: ResponseSpec(
            ProblemBody,
            description="It is not open to visitors, or not to so many generations",
            generate_examples=False,
        ),
    },
)
async def generate(
    collection_id: FromPath[UUID],
    data: JSONBody[GenerationsRequest],
    principal: User,
    context: CommandContext,
    precondition: CommandPrecondition,
    job_requests: NamedDependency[JobRequests],
    runtime: NamedDependency[Runtime],
) -> Response[Envelope[AcceptedJob]]:
    """Starts a job of N generations, or with `dry_run` answers what it would cost and draw.

    Of another user's collection whose preview is enabled, you may make up to `max_generations`, one by default; the
    preview's `paid_by` says who pays. Failed and cancelled generations don't count.

    402 if you have too few credits, or a spend limit is reached; 409 if the collection is archived, or has changed
    since `collection_version` (412 for `If-Match`). With the same `Idempotency-Key`, the same job is answered again.
    """
    settings = runtime.settings
    assert isinstance(settings, GenerationSettings), "generation runs with its own settings"
    request = JobRequest(
        data.variables, data.generations, data.hashes, data.max_queue_seconds, settings.max_queue_seconds
    )
    required = required_version(data.collection_version, precondition)
    token = data.dry_run_token
    if data.dry_run:
        if data.cursor is not None and data.dry_run_token is None:
            message = "is needed with a cursor, so that the pages are of one plan"
            raise invalid("The request is not valid", Detail("/dry_run_token", message))
        after = cursor_number(data.cursor, 0)
        planned = await job_requests.plan(collection_id, principal.user_id, request, context, token, required)
        return ExactResponse(Envelope(_quote(planned, after, data.limit)), status_code=200)
    job_id, job, warnings = await job_requests.request(
        collection_id, principal.user_id, request, context, token, required
    )
    url = events_url(settings.public_url, job_id)
    return Response(Envelope(AcceptedJob(job_id, job.status, url, warnings)), status_code=202)


def required_version(stated: int | None, precondition: Precondition) -> RequiredVersion | None:
    """The version that a request states in its body or its If-Match. Raises VALIDATION_FAILED if both differ.

    Of several versions in If-Match, the newest: nothing that counts has changed since the others either.
    """
    if stated is None:
        return None if precondition.any_of is None else RequiredVersion(max(precondition.any_of), "header:If-Match")
    if precondition.any_of is not None and stated not in precondition.any_of:
        message = "is not a version that If-Match states"
        raise invalid(f"/collection_version {message}", Detail("/collection_version", message))
    return RequiredVersion(stated, "/collection_version")


def _quote(planned: PlannedJob, after: int, limit: int) -> Quote:
    plan, preview = planned.plan, planned.preview
    is_shown = preview is None or preview.terms.is_remixable
    samples = [
        DrawnGeneration(generation.hash, variables, to_credits(generation.cost))
        for generation, variables in planned.samples(after, limit)
    ]
    following_place = after + len(samples)
    return Quote(
        quoted=to_credits(plan.quoted),
        generations=samples,
        total=len(plan.generations),
        plan=[_step_view(step, planned) for step in planned.generation_input.steps if is_shown],
        breakdown=step_costs(plan.breakdown) if is_shown else [],
        dry_run_token=planned.token,
        next_cursor=encode_cursor(following_place) if following_place < len(plan.generations) else None,
        preview=None if preview is None else PreviewQuote(preview.limit.most, preview.left, preview.terms.paid_by),
        warnings=planned.warnings,
    )


def _step_view(step: Step, planned: PlannedJob) -> PlannedStepView:
    definition = planned.definitions[step.workflow]
    return PlannedStepView(
        step_id=step.id,
        workflow=step.workflow,
        version=definition.version,
        type=definition.type,
        service=definition.template.service,
        needs=list(dict.fromkeys(step_id for _, step_id in walk(step.payload))),
        produces=definition.template.produces,
        models=[f"{model.kind}/{model.name}" for model in definition.template.models],
    )
