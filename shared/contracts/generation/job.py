"""Events of a job: N generations of a collection, requested and paid together. Amounts: integers of 10^-6 credit.

A job has rounds: round 0 is its request, each resume is one more. Each round has a hold of its own, and its events say
what was captured of that hold. The hold is of the credits of `payer_id`; None: of the job's user, `user_id`.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event

PREVIEW_JOB_TYPE = "collection_preview"
"""Of a job that a visitor requested of another user's collection: its artworks never become tokens."""


class JobEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "job"


class RequestedGeneration(msgspec.Struct, frozen=True):
    gid: UUID
    hash: str
    cost: int


class StepQuote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one step costs in some of a job's generations: those for which its cost function returned the same."""

    step: int
    generations: int
    """The number of these generations."""
    cost: int
    """The cost of the step in all of them."""
    details: Any = None
    """The cost function's explanation of the cost of one."""


class JobRequested(JobEvent, frozen=True, tag="job_requested.v1"):
    """A user requested N generations of a collection, at the quoted price."""

    job_id: UUID
    name: str
    job_type: str
    user_id: UUID
    collection_id: UUID
    project_id: UUID
    data: dict[str, Any]
    workflow_versions: dict[str, int]
    variables: dict[str, Any]
    """Values set by the request; the others are drawn from each generation's hash."""
    generations: list[RequestedGeneration]
    """The first ones, in order, as many as fit into this event. The others follow in `parts`."""
    quoted: int
    encryption_enabled: bool = False
    total: int = 0
    """Number of generations; 0: all are listed here."""
    parts: int = 0
    """Number of `job_generations_listed` events that follow, recorded in the same append."""
    breakdown: list[StepQuote] = msgspec.field(default_factory=list)
    """Which steps make up `quoted`; empty in events of early releases."""
    max_queue_seconds: float | None = None
    """How long the job may wait for its credits, its start or a worker, if the request states it."""
    payer_id: UUID | None = None
    shares_instructions: bool = True
    """Whether its user may see `data`; False for a visitor's preview of a collection that others may not remix."""

    @property
    def is_preview(self) -> bool:
        """Whether a visitor of the collection requested it."""
        return self.job_type == PREVIEW_JOB_TYPE

    @property
    def count(self) -> int:
        """Number of generations, whether they are listed or only counted by `total`."""
        return self.total or len(self.generations)

    def gids(self) -> list[UUID]:
        """The gids of all generations, in order. Those not listed here are computed from the job's id."""
        listed = [generation.gid for generation in self.generations]
        return listed + [generation_id(self.job_id, place) for place in range(len(listed), self.count)]


def generation_id(job_id: UUID, place: int) -> UUID:
    """The gid of a job's generation; `place` counts from 0."""
    return uuid5(job_id, str(place))


def hold_id(job_id: UUID, round_: int) -> UUID:
    """The id of the hold of one round of a job; that of round 0 is the job's own id."""
    return uuid5(job_id, str(round_)) if round_ else job_id


class JobGenerationsListed(JobEvent, frozen=True, tag="job_generations_listed.v1"):
    """The next of a job's generations, after those listed in its request and in earlier parts."""

    job_id: UUID
    number: int
    """From 1."""
    generations: list[RequestedGeneration]


class JobAuthorized(JobEvent, frozen=True, tag="job_authorized.v1"):
    """The credits of a round are held; its generations can start."""

    job_id: UUID
    held: int
    round: int = 0


class JobRejected(JobEvent, frozen=True, tag="job_rejected.v1"):
    """The job was refused before it began, for instance with `INSUFFICIENT_CREDITS`; nothing is captured."""

    job_id: UUID
    code: str
    reason: str
    user_id: UUID | None = None
    """The owner of the hold that is released; None in events recorded before this field existed."""
    payer_id: UUID | None = None


class JobGenerationCompleted(JobEvent, frozen=True, tag="job_generation_completed.v1"):
    """One generation succeeded; now `ended` of the job's `total` have ended."""

    job_id: UUID
    gid: UUID
    cost: int
    ended: int = 0
    total: int = 0


class JobGenerationFailed(JobEvent, frozen=True, tag="job_generation_failed.v1"):
    """One generation failed finally; now `ended` of the job's `total` have ended."""

    job_id: UUID
    gid: UUID
    error: str
    ended: int = 0
    total: int = 0


class JobCompleted(JobEvent, frozen=True, tag="job_completed.v1"):
    """All generations have succeeded. `captured` is the cost of those of this round."""

    job_id: UUID
    user_id: UUID
    captured: int
    round: int = 0
    payer_id: UUID | None = None


class JobPartiallyCompleted(JobEvent, frozen=True, tag="job_partially_completed.v1"):
    """All generations ended and some failed. `captured` is the cost of those that succeeded."""

    job_id: UUID
    user_id: UUID
    captured: int
    failed: int
    round: int = 0
    payer_id: UUID | None = None


class JobFailed(JobEvent, frozen=True, tag="job_failed.v1"):
    """No generation succeeded; nothing is captured."""

    job_id: UUID
    user_id: UUID
    error: str
    round: int = 0
    payer_id: UUID | None = None


class JobStopRequested(JobEvent, frozen=True, tag="job_stop_requested.v1"):
    """No further generation of the job starts, and its open ones are cancelled; `outcome` is how the job ends."""

    job_id: UUID
    user_id: UUID
    outcome: Literal["cancelled", "expired"]
    reason: str = ""


class JobCancelled(JobEvent, frozen=True, tag="job_cancelled.v1"):
    """Its user stopped the job. All generations that were open are cancelled.

    `completed` counts the generations that completed, in all rounds. `captured` of the round's hold is what has
    completed in it, finished steps of cancelled generations included; `released` is the rest.
    """

    job_id: UUID
    user_id: UUID
    completed: int
    cancelled: int
    captured: int
    released: int
    round: int = 0
    payer_id: UUID | None = None


class JobExpired(JobEvent, frozen=True, tag="job_expired.v1"):
    """The job waited longer than it may, or its collection was archived. Otherwise as `job_cancelled`."""

    job_id: UUID
    user_id: UUID
    reason: str
    completed: int
    cancelled: int
    captured: int
    released: int
    round: int = 0
    payer_id: UUID | None = None


class ResumedGenerations(msgspec.Struct, frozen=True):
    """Generations that run again in the same way: steps in `keep` are not repeated, `cost` is that of the others."""

    gids: list[UUID]
    cost: int
    status: Literal["failed", "cancelled"]
    """The status that they had when they were resumed."""
    keep: list[int] = []
    """Component ids."""


def gids_of(groups: Iterable[ResumedGenerations]) -> list[UUID]:
    """The gids of all generations in these groups."""
    return [gid for group in groups for gid in group.gids]


class JobResumed(JobEvent, frozen=True, tag="job_resumed.v1"):
    """A user resumed generations that had failed or were cancelled, at the quoted price of what runs again."""

    job_id: UUID
    user_id: UUID
    round: int
    resumed_from: str
    """`last_completed`, `start`, or a component's id."""
    generations: list[ResumedGenerations]
    quoted: int
    payer_id: UUID | None = None

    def gids(self) -> list[UUID]:
        """Those of all of these generations."""
        return gids_of(self.generations)


class JobResumeRejected(JobEvent, frozen=True, tag="job_resume_rejected.v1"):
    """The hold of a resume was declined: the job has its earlier `status` again."""

    job_id: UUID
    user_id: UUID
    round: int
    code: str
    reason: str
    status: str
    generations: list[ResumedGenerations]
    quoted: int
    payer_id: UUID | None = None

    def gids(self) -> list[UUID]:
        """Those of all of these generations."""
        return gids_of(self.generations)


class JobPaused(JobEvent, frozen=True, tag="job_paused.v1"):
    """An operator paused the job: what is running goes on, and nothing else of it starts."""

    job_id: UUID
    user_id: UUID
    reason: str = ""


class JobUnpaused(JobEvent, frozen=True, tag="job_unpaused.v1"):
    """An operator continued a paused job."""

    job_id: UUID
    user_id: UUID
