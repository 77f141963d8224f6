"""What clients see of jobs and their generations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.contracts.amounts import to_credits
from shared.contracts.generation import StepQuote
from shared.http.amounts import Credits


class JobCredits(msgspec.Struct, frozen=True):
    """Credits, exact to 6 decimals: sums over the job's request and its resumes.

    `held` is what was held for it so far. What is neither captured nor released of that is held now.
    """

    quoted: Credits
    held: Credits
    captured: Credits
    released: Credits


class GenerationView(msgspec.Struct, frozen=True):
    """One artwork of a job. `status`: pending, processing, completed, failed or cancelled."""

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
    cancelled: int


Reason = Literal["credits", "unworkable", "turn", "workers", "retry", "paused"]


class WaitingFor(msgspec.Struct, frozen=True):
    """What keeps a job from going on, although nothing of it is in progress. `message` says it in a sentence.

    `reason`: `credits`: its credits are not held yet; `turn`: others' generations go first; `unworkable`: no connected
    worker does the work of `services`, and it goes on when one connects; `workers`: its steps are in the queue, behind
    at most `steps_ahead` other ones; `retry`: the backoff after a failed attempt ends at `until`; `paused`: an operator
    has paused the job, or each of the `workflows` that its steps wait for.

    `since`, of `unworkable` and `workers`: when the first of these steps became ready; if the last worker for them left
    later, when it did, as far as the replica that answers has seen it.
    """

    reason: Reason
    services: list[str] = []
    steps_ahead: int | None = None
    until: datetime | None = None
    workflows: list[str] = []
    since: datetime | None = None
    message: str = ""


class StepCostView(msgspec.Struct, frozen=True):
    """What a step costs in `generations` of the job, all of them together. `details`: of its cost function."""

    step_id: int
    generations: int
    cost: Credits
    details: Any


def step_costs(breakdown: Sequence[StepQuote]) -> list[StepCostView]:
    return [StepCostView(quote.step, quote.generations, to_credits(quote.cost), quote.details) for quote in breakdown]


def events_url(public_url: str, job_id: UUID) -> str:
    """Where a job's events are streamed."""
    return f"{public_url.rstrip('/')}/jobs/{job_id}/events"


class JobState(msgspec.Struct, frozen=True):
    """What all views of a job begin with. `progress`: from 0 to 1."""

    id: UUID
    name: str
    job_type: str
    status: str
    progress: float
    collection_id: UUID
    user_id: UUID
    error: str | None
    credits: JobCredits
    is_paused: bool


class JobSummary(JobState, frozen=True):
    """A job without its generations, as in a list. `progress`: from 0 to 1."""

    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    generation_counts: GenerationCounts
    waiting_for: WaitingFor | None = None


class JobPage(msgspec.Struct, frozen=True):
    """One page of a user's jobs. `counts`: how many are in each status, of all that the filters but `status` match.

    `next_cursor` requests the next page and is null on the last.
    """

    data: list[JobSummary]
    counts: dict[str, int]
    next_cursor: str | None = None
    error: None = None


class JobView(JobState, frozen=True):
    """A job as its user sees it. `progress`: from 0 to 1.

    `generations` are the first ones, in the order of the request; `/jobs/{id}/generations` has the others, after
    `next_cursor`, which is null if there are none. `generation_counts` counts all of them. `seconds_left`: an estimate
    from the job's own pace, or from past jobs that ran the same workflows; null if nothing is known. `breakdown`: which
    steps make up the quote of its request, as the dry run showed it; beyond 8 KiB without details, and empty for jobs
    of early releases.
    """

    generation_counts: GenerationCounts
    generations: list[GenerationView]
    next_cursor: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    waiting_for: WaitingFor | None
    seconds_left: float | None
    breakdown: list[StepCostView]


class HistoryEntry(msgspec.Struct, frozen=True):
    """A change of a job. `status`: the job's from then on."""

    status: str
    message: str
    data: dict[str, Any]
    created_at: datetime
