"""Events of a job: N generations of a collection, asked for and paid together. Amounts are integers of 10^-6 credit."""

from typing import Any, ClassVar
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event


class JobEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "job"


class RequestedGeneration(msgspec.Struct, frozen=True):
    gid: UUID
    hash: str
    cost: int


class JobRequested(JobEvent, frozen=True, tag="job_requested.v1"):
    """A user asked for N generations of a collection, at the quoted price."""

    job_id: UUID
    name: str
    job_type: str
    user_id: UUID
    collection_id: UUID
    project_id: UUID
    data: dict[str, Any]
    workflow_versions: dict[str, int]
    variables: dict[str, Any]
    """What the request set itself; everything else is drawn from each generation's hash."""
    generations: list[RequestedGeneration]
    """The first of them, in order: as many as fit. The others follow in `parts`."""
    quoted: int
    encryption_enabled: bool = False
    total: int = 0
    """How many generations there are; 0: those listed here."""
    parts: int = 0
    """How many `job_generations_listed` follow, recorded with this in one append."""

    @property
    def count(self) -> int:
        return self.total or len(self.generations)

    def gids(self) -> list[UUID]:
        """Every generation's, in order. Those that are not listed here follow from the job's id, as all do today."""
        listed = [each.gid for each in self.generations]
        return listed + [generation_id(self.job_id, place) for place in range(len(listed), self.count)]


def generation_id(job_id: UUID, place: int) -> UUID:
    """The gid of the generation at a place of a job, counted from 0."""
    return uuid5(job_id, str(place))


class JobGenerationsListed(JobEvent, frozen=True, tag="job_generations_listed.v1"):
    """More of a job's generations: those behind the ones that its request, and the parts before, have listed."""

    job_id: UUID
    number: int
    """From 1."""
    generations: list[RequestedGeneration]


class JobAuthorized(JobEvent, frozen=True, tag="job_authorized.v1"):
    """The job's credits are held: its work begins."""

    job_id: UUID
    held: int


class JobRejected(JobEvent, frozen=True, tag="job_rejected.v1"):
    job_id: UUID
    code: str
    reason: str
    user_id: UUID | None = None
    """Whose hold is given back; every job that is rejected now says it."""


class JobDisowned(JobEvent, frozen=True, tag="job_disowned.v1"):
    """Credits holds something for a job that this service never had for that user: the hold is to be given back.

    Either somebody else spoke in our name, or our history was put back to a moment before the job.
    """

    job_id: UUID
    user_id: UUID
    """Whose hold it is."""


class JobGenerationCompleted(JobEvent, frozen=True, tag="job_generation_completed.v1"):
    """One generation succeeded: with it, `ended` of the job's `total` have ended."""

    job_id: UUID
    gid: UUID
    cost: int
    ended: int = 0
    total: int = 0


class JobGenerationFailed(JobEvent, frozen=True, tag="job_generation_failed.v1"):
    """One generation failed for good: with it, `ended` of the job's `total` have ended."""

    job_id: UUID
    gid: UUID
    error: str
    ended: int = 0
    total: int = 0


class JobCompleted(JobEvent, frozen=True, tag="job_completed.v1"):
    """Every generation succeeded. `captured` is what they cost."""

    job_id: UUID
    user_id: UUID
    captured: int


class JobPartiallyCompleted(JobEvent, frozen=True, tag="job_partially_completed.v1"):
    job_id: UUID
    user_id: UUID
    captured: int
    failed: int


class JobFailed(JobEvent, frozen=True, tag="job_failed.v1"):
    """No generation succeeded: nothing is captured."""

    job_id: UUID
    user_id: UUID
    error: str
