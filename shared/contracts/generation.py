"""Events of the generation service, and the messages it exchanges with workers.

Amounts are integers of 10^-6 credit. `gid` is a generation, `sid` one step of it.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event
from shared.contracts.language import Upcaster

Kind = Literal["asset", "text", "json"]


class WorkflowEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "workflow"


class WorkflowRegistered(WorkflowEvent, frozen=True, tag="workflow_registered.v1"):
    """A workflow has a new version; jobs keep the one they started with. `definition` is the folder's content."""

    workflow_id: UUID
    name: str
    version: int
    digest: str
    """sha256 of the canonical definition: importing the same twice changes nothing."""
    definition: dict[str, Any]


class CollectionSourceEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "collection_source"


class CollectionAdopted(CollectionSourceEvent, frozen=True, tag="collection_adopted.v1"):
    """What generation needs to know of a collection, taken from the collections service's events."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    data: dict[str, Any]
    encryption_enabled: bool
    source_version: int
    """Version of the collection's stream in the collections service, in `source_epoch` of its store."""
    source_epoch: int = 1
    source_recorded_at: datetime | None = None
    """When the latest of the events that are known was recorded there."""


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


class GenerationEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "generation"


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a step made: a stored file, a text, or a JSON value."""

    kind: Kind
    asset_id: int | None = None
    url: str | None = None
    path: str | None = None
    mime_type: str | None = None
    sha256: str | None = None
    size: int | None = None
    text: str | None = None
    json: Any = None


class StepError(msgspec.Struct, frozen=True):
    code: str
    message: str
    retryable: bool


class PlannedStep(msgspec.Struct, frozen=True):
    """A step of one generation: `payload` has its variables drawn, its references still open.

    An open reference is `{"$ref": id}`, or `{"$text": ["a frame around ", {"$ref": id}]}` where it stands in a text.
    Other strings are final: what a variable's value contains is never parsed.
    """

    sid: UUID
    component_id: int
    workflow: str
    workflow_version: int
    workflow_type: str
    service_required: str
    payload: dict[str, Any]
    needs: list[int]
    """Component ids whose outputs the payload refers to."""
    priority: int = 50
    max_attempts: int = 3


class GenerationStarted(GenerationEvent, frozen=True, tag="generation_started.v1"):
    gid: UUID
    job_id: UUID
    user_id: UUID
    collection_id: UUID
    hash: str
    variables: dict[str, Any]
    steps: list[PlannedStep]
    cost: int
    encryption_enabled: bool = False


class StepScheduled(GenerationEvent, frozen=True, tag="step_scheduled.v1"):
    """A step's inputs are ready: `payload` is complete, a worker may run it."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    collection_id: UUID
    sid: UUID
    component_id: int
    attempt: int
    workflow: str
    workflow_type: str
    service_required: str
    payload: dict[str, Any]
    priority: int
    not_before: str | None = None
    """RFC 3339, UTC: a retry waits until then."""
    hash: str = ""
    """The generation's: a worker draws everything random from it."""


class StepCompleted(GenerationEvent, frozen=True, tag="step_completed.v1"):
    gid: UUID
    job_id: UUID
    sid: UUID
    component_id: int
    attempt: int
    outputs: list[Output]


class StepFailed(GenerationEvent, frozen=True, tag="step_failed.v1"):
    """An attempt failed; `final` when no other follows."""

    gid: UUID
    job_id: UUID
    sid: UUID
    component_id: int
    attempt: int
    error: StepError
    final: bool


class StepOutputs(msgspec.Struct, frozen=True):
    step_id: int
    outputs: list[Output]


class GenerationCompleted(GenerationEvent, frozen=True, tag="generation_completed.v1"):
    """Every step succeeded. `gen_in_data` is the GenerationInput that makes this one artwork again."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    cost: int
    outputs: list[StepOutputs]
    gen_in_data: dict[str, Any]


class GenerationFailed(GenerationEvent, frozen=True, tag="generation_failed.v1"):
    """A step failed for good. What other steps had made is in `outputs`."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    sid: UUID
    error: StepError
    outputs: list[StepOutputs]
    gen_in_data: dict[str, Any]


EVENTS: tuple[type[Event], ...] = (
    WorkflowRegistered,
    CollectionAdopted,
    JobDisowned,
    JobRequested,
    JobGenerationsListed,
    JobAuthorized,
    JobRejected,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobCompleted,
    JobPartiallyCompleted,
    JobFailed,
    GenerationStarted,
    StepScheduled,
    StepCompleted,
    StepFailed,
    GenerationCompleted,
    GenerationFailed,
)

UPCASTERS: dict[str, Upcaster] = {}
"""By the tag that it takes: what makes the next version out of a version that is no longer among EVENTS."""
