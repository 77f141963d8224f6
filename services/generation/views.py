"""What clients see of jobs, generations and workflows."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.http.amounts import Credits, MaybeCredits


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
    """What keeps a job from going on, although nothing of it is in progress.

    `reason`: `credits`: its credits are not held yet; `turn`: others' generations go first; `unworkable`: no connected
    worker does the work of `services`, and it goes on when one connects; `workers`: its steps are in the queue, behind
    at most `steps_ahead` other ones; `retry`: the backoff after a failed attempt ends at `until`; `paused`: an operator
    has paused the job, or each of the `workflows` that its steps wait for.
    """

    reason: Reason
    services: list[str] = []
    steps_ahead: int | None = None
    until: datetime | None = None
    workflows: list[str] = []


class JobSummary(msgspec.Struct, frozen=True):
    """A job without its generations, as in a list. `progress`: from 0 to 1."""

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


class JobView(msgspec.Struct, frozen=True):
    """A job as its user sees it. `progress`: from 0 to 1.

    `generations` are the first ones, in the order of the request; `/jobs/{id}/generations` has the others, after
    `next_cursor`, which is null if there are none. `generation_counts` counts all of them. `seconds_left`: an estimate
    from the job's own pace, or from the last jobs of its collection; null if nothing is known.
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
    is_paused: bool
    generation_counts: GenerationCounts
    generations: list[GenerationView]
    next_cursor: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    waiting_for: WaitingFor | None
    seconds_left: float | None


class HistoryEntry(msgspec.Struct, frozen=True):
    """A change of a job. `status`: the job's from then on."""

    status: str
    message: str
    data: dict[str, Any]
    created_at: datetime


class WorkflowView(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow in its newest version: what a step's payload may set, and what it costs in credits.

    `cost` is null where a function computes it from the payload: ask with `dry_run`. `deprecated`: why, if it is.
    `is_paused`: an operator has paused it, so no further step of it runs; `pause_reason`: why, if they said so.
    """

    id: UUID
    name: str
    version: int
    type: str
    cost: MaybeCredits
    form: dict[str, Any]
    updated_at: datetime
    deprecated: str | None
    is_paused: bool
    pause_reason: str


class WorkflowDetails(WorkflowView, frozen=True, kw_only=True):
    """With its definition. `produces`: what its first output is, as far as its files tell.

    `notes`: inputs that lead nowhere, and the like.
    """

    max_generations: int | None
    produces: str
    notes: list[str]
    definition: dict[str, Any]


class RegisteredWorkflow(msgspec.Struct, frozen=True):
    """`outcome`: what the registration is, or with `dry_run` would be."""

    id: UUID
    name: str
    version: int
    type: str
    outcome: Literal["added", "unchanged", "new version"]
    notes: list[str]
    dry_run: bool = False


class DeprecatedWorkflow(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    version: int
    deprecated: str


class PausedWorkflow(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    version: int
    is_paused: bool


class ModelView(msgspec.Struct, frozen=True):
    """A file that ComfyUI servers load; what is not known of it is null. `workflows`: those that name it."""

    kind: str
    name: str
    source_url: str | None
    sha256: str | None
    size: int | None
    workflows: list[str]
