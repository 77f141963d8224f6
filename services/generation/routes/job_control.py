"""Cancelling, resuming and pausing a job."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from services.generation.domain.job import Job, Pause, Unpause
from services.generation.domain.job.state import OPEN
from services.generation.handlers.commands import CommandHandlers
from services.generation.handlers.job_control import JobControl
from services.generation.routes.owners import owner_of
from services.generation.views.job import events_url
from shared.contracts.amounts import to_credits
from shared.http import CommandContext, Envelope, FromPath, JSONBody, User
from shared.http.amounts import Credits, ExactResponse
from shared.http.positions import following
from shared.http.problems import ProblemBody
from shared.runtime import Runtime


class CancelledJob(msgspec.Struct, frozen=True):
    """`completed` generations are kept, `cancelled` ones stopped.

    `captured` is what has completed since the job's request or its last resume, finished steps of cancelled generations
    included; `released` is the rest of what was held for it.
    """

    job_id: UUID
    status: str
    completed: int
    cancelled: int
    captured: Credits
    released: Credits


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"resumed_from": "from"}):
    """What runs again of the generations that have not completed.

    `from`: `last_completed` repeats nothing that has completed, `start` all steps, and a step's id that step and what
    depends on it. `generations`: gids; all that have not completed if it is left out. With `dry_run`, nothing is
    recorded, and the answer says what would run again.
    """

    resumed_from: int | str = "last_completed"
    generations: list[UUID] | None = None
    dry_run: bool = False


class ResumedJob(msgspec.Struct, frozen=True):
    """`round`: 1 for the first resume. `quoted`: of what runs again. `status`: pending until that is held.

    Of a dry run, `status` is the job's as it is.
    """

    job_id: UUID
    status: str
    round: int
    generations: int
    quoted: Credits
    events_url: str
    dry_run: bool = False


@post(
    "/jobs/{job_id:uuid}/cancel",
    status_code=200,
    summary="Cancel a job",
    response_class=ExactResponse,
    responses={
        202: ResponseSpec(Envelope[CancelledJob], description="It is being cancelled", generate_examples=False),
        409: ResponseSpec(ProblemBody, description="It has ended otherwise", generate_examples=False),
    },
)
async def cancel_job(
    job_id: FromPath[UUID], principal: User, context: CommandContext, job_control: NamedDependency[JobControl]
) -> Response[Envelope[CancelledJob]]:
    """Stops what has not completed. What has completed is kept and charged, the rest of the hold released.

    Cancelling it again gives the same answer. The job can be resumed. Operators may cancel any user's job.
    """
    job = await job_control.cancel(job_id, owner_of(principal), context)
    return ExactResponse(Envelope(_cancelled(job_id, job)), status_code=202 if job.status in OPEN else 200)


@post(
    "/jobs/{job_id:uuid}/resume",
    status_code=202,
    summary="Resume a job",
    opt=following("collections"),
    response_class=ExactResponse,
    responses={
        200: ResponseSpec(Envelope[ResumedJob], description="A dry run", generate_examples=False),
        402: ResponseSpec(
            ProblemBody, description="Its payer has too few credits, or a spend limit", generate_examples=False
        ),
        403: ResponseSpec(
            ProblemBody, description="Visitors may not do it now, or not so often", generate_examples=False
        ),
        409: ResponseSpec(ProblemBody, description="There is nothing to resume", generate_examples=False),
    },
)
async def resume_job(
    job_id: FromPath[UUID],
    data: JSONBody[ResumeRequest],
    principal: User,
    context: CommandContext,
    job_control: NamedDependency[JobControl],
    runtime: NamedDependency[Runtime],
) -> Response[Envelope[ResumedJob]]:
    """Runs the job's generations that failed or were cancelled again, with the workflows that it began with.

    Only what runs again is held and charged. Operators may resume any user's job, from its owner's credits.
    """
    url = events_url(runtime.settings.public_url, job_id)
    owner, resumed_from = owner_of(principal), str(data.resumed_from)
    if data.dry_run:
        job, plan = await job_control.plan_resume(job_id, owner, resumed_from, data.generations)
        count = sum(len(alike.gids) for alike in plan.generations)
        planned = ResumedJob(job_id, job.status, job.next_round, count, to_credits(plan.quoted), url, dry_run=True)
        return ExactResponse(Envelope(planned), status_code=200)
    job = await job_control.resume(job_id, owner, resumed_from, data.generations, context)
    resumed = ResumedJob(job_id, job.status, job.round, job.resumed_count, to_credits(job.quoted), url)
    return ExactResponse(Envelope(resumed), status_code=202)


class PausedJob(msgspec.Struct, frozen=True):
    """`is_paused`: whether an operator has paused it."""

    job_id: UUID
    status: str
    is_paused: bool


class PauseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reason` is shown to users."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


@post(
    "/jobs/{job_id:uuid}/pause",
    status_code=200,
    summary="Pause a job",
    opt={"roles": {"operator"}},
    responses={409: ResponseSpec(ProblemBody, description="It has ended", generate_examples=False)},
)
async def pause_job(
    job_id: FromPath[UUID],
    data: JSONBody[PauseRequest],
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[PausedJob]:
    """For operators, of any user's job: steps that workers have go on, no other is sent. The job does not expire."""
    handled = await handlers.command_job(job_id, Pause(data.reason), context)
    return Envelope(PausedJob(job_id, handled.state.status, handled.state.is_paused))


@post(
    "/jobs/{job_id:uuid}/unpause",
    status_code=200,
    summary="Continue a paused job",
    opt={"roles": {"operator"}},
    responses={409: ResponseSpec(ProblemBody, description="It has ended", generate_examples=False)},
)
async def unpause_job(
    job_id: FromPath[UUID], context: CommandContext, handlers: NamedDependency[CommandHandlers]
) -> Envelope[PausedJob]:
    """For operators: steps of the job are sent to workers again. Idempotent."""
    handled = await handlers.command_job(job_id, Unpause(), context)
    return Envelope(PausedJob(job_id, handled.state.status, handled.state.is_paused))


def _cancelled(job_id: UUID, job: Job) -> CancelledJob:
    return CancelledJob(
        job_id, job.status, job.completed, job.cancelled, to_credits(job.captured), to_credits(job.released)
    )
