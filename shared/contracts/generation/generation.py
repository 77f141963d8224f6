"""Events of one generation, and the outputs of its steps. `gid` is a generation, `sid` one step of it."""

from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.contracts.event import Event

Kind = Literal["asset", "text", "json"]


class GenerationEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "generation"


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output of a step: a stored file, a text, or a JSON value."""

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

    @property
    def text(self) -> str:
        """The code and the message, as users see an error of their job."""
        return f"{self.code}: {self.message}"


class PlannedStep(msgspec.Struct, frozen=True):
    """A step of one generation: in `payload`, variables are replaced by their values, references are not yet resolved.

    An open reference is `{"$ref": id}`, or `{"$text": ["a frame around ", {"$ref": id}]}` within a text. Other strings
    are final: the values of variables are never parsed.
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
    seeds: dict[str, int] | None = None
    """The seeds that were drawn, by the field of the form. None in early releases' events, whose `payload` has them."""
    cost: int | None = None
    """Micro-credits. None in events of earlier releases."""


class GenerationStarted(GenerationEvent, frozen=True, tag="generation_started.v1"):
    """A generation began: its plan, with the value of every variable and every step's payload."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    collection_id: UUID
    hash: str
    variables: dict[str, Any]
    steps: list[PlannedStep]
    cost: int
    encryption_enabled: bool = False
    round: int = 0
    """The round of the job in which it started."""


class GenerationResumed(GenerationEvent, frozen=True, tag="generation_resumed.v1"):
    """A failed or cancelled generation runs again, in a later round of its job. `cost`: of the steps that run again."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    round: int
    keep: list[int]
    """Component ids of completed steps that are not repeated."""
    cost: int
    renewed: list[int] = msgspec.field(default_factory=list)
    """Component ids of steps that the resume asked to repeat: what their earlier attempts have started is not
    continued. Events of earlier releases have none."""


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
    """RFC 3339, UTC: the end of a retry's backoff."""
    hash: str = ""
    """The generation's hash: the seed of all randomness in a worker."""


class StepCheckpointed(GenerationEvent, frozen=True, tag="step_checkpointed.v1"):
    """What the step's next attempt must know, such as the id of a task that an earlier one has started."""

    gid: UUID
    job_id: UUID
    sid: UUID
    component_id: int
    attempt: int
    number: int
    """The number of the checkpoint among those of the step, from 1."""
    checkpoint: dict[str, Any]


class StepCompleted(GenerationEvent, frozen=True, tag="step_completed.v1"):
    """An attempt succeeded; its outputs are inserted into the steps that refer to them."""

    gid: UUID
    job_id: UUID
    sid: UUID
    component_id: int
    attempt: int
    outputs: list[Output]


class StepFailed(GenerationEvent, frozen=True, tag="step_failed.v1"):
    """An attempt failed; `final` if there will be no retry."""

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
    round: int = 0


class GenerationFailed(GenerationEvent, frozen=True, tag="generation_failed.v1"):
    """A step failed finally. `outputs` are those of the completed steps."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    sid: UUID
    error: StepError
    outputs: list[StepOutputs]
    gen_in_data: dict[str, Any]
    round: int = 0


class StoppedStep(msgspec.Struct, frozen=True):
    """An attempt whose result will change nothing."""

    sid: UUID
    component_id: int
    attempt: int
    workflow_type: str
    service_required: str


class GenerationCancelled(GenerationEvent, frozen=True, tag="generation_cancelled.v1"):
    """The job was stopped before the generation's end. `cost`: of the steps that completed in this round."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    round: int
    was_running: bool
    """False if it had not begun in this round."""
    cost: int
    stopped: list[StoppedStep]
    outputs: list[StepOutputs]
    gen_in_data: dict[str, Any]
    """Empty if no step has completed."""
