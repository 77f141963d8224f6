"""The worker protocol: the messages between the generation service and workers, built-in and external.

`KIND` is a workflow type and a service: `direct_job.sketch`. JetStream streams store the first two, and keep a message
until it is acknowledged; the others are plain NATS messages, which reach those who listen, at most once.

    subject                               message        from     stream
    work.KIND                             WorkMessage    engine   WORK
    results.<job_id>.<gid>.KIND           WorkResult     worker   RESULTS
    results.<job_id>.<gid>.KIND           Checkpoint     worker   RESULTS
    progress.<job_id>.<gid>.<sid>.KIND    Progress       worker   -
    cancel.KIND                           CancelRequest  engine   -
    workers.<instance>                    Announcement   worker   -
    checkpoints.KIND                      CheckpointQuery -> CheckpointAnswer   worker asks engine
    secrets.<NAME>                        empty -> SecretAnswer                 worker asks engine

The KIND at the end of results and progress is for NATS permissions: a worker may publish for its own kinds only.
Messages of earlier releases have none.

**Cancelling.** The engine records that a generation is cancelled, deletes its messages that still wait in WORK, and
then publishes a CancelRequest for each attempt that may be running, and repeats it twice. Each worker of the kind stops
the attempts that the request matches, publishes their results as `failed` with the code `CANCELLED`, and acknowledges
the work. An attempt that has just ended keeps its result. A request is not remembered: it does not stop what is
delivered later. One that gets lost costs the rest of an attempt and nothing else, since results of cancelled steps
change nothing.

**Checkpoints.** What a step's next attempt must know, such as the id of a task that was started and paid for, is
published as a Checkpoint, and JetStream's acknowledgement means that it is durable. The engine records it, and the
WorkMessage of each later attempt carries the newest one. A message that JetStream delivers again was written before:
its worker asks for the newest checkpoint, and the engine answers when it has recorded all that RESULTS has of the
generation.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.contracts.generation import Output, StepError

WORK_STREAM = "WORK"
RESULTS_STREAM = "RESULTS"
RESULTS_CONSUMER = "generation-results-v1"
"""The durable consumer of RESULTS that all replicas of generation share. Permanent: RESULTS keeps its position."""
CANCELLED = "CANCELLED"
"""The error code of an attempt that a CancelRequest has stopped."""
MAX_CHECKPOINT = 4096
"""Bytes of a checkpoint as JSON."""
WAIT_SHARE = 1.0
"""An attempt's time does not count while it waits for a server that is at work, up to this share of its `seconds`."""
ANNOUNCEMENT_SECONDS = 5.0
"""How often a worker announces itself. One that has been silent for three times as long counts as gone."""


def kind_of_work(workflow_type: str, service: str) -> str:
    """The kind of work that a service does for workflows of a type: `direct_job.sketch`."""
    return f"{workflow_type}.{service}"


def work_subject(kind: str) -> str:
    """Where work of a kind, `direct_job.sketch`, is published."""
    return f"work.{kind}"


def kind_of(subject: str) -> str:
    """The kind of the work that came on this subject."""
    return subject.removeprefix("work.")


def consumer_name(kind: str) -> str:
    """The durable consumer of WORK that all workers of a kind share."""
    workflow_type, _, service = kind.partition(".")
    # Consumers of direct_job have had this name since the first release. No direct_job service can get another's name.
    return f"worker-{service}" if workflow_type == "direct_job" else f"worker_{workflow_type}_{service}"


def cancel_subject(kind: str) -> str:
    """Where requests to cancel work of a kind are published."""
    return f"cancel.{kind}"


def checkpoint_subject(kind: str) -> str:
    """Where a worker asks for the newest checkpoint of a step of that kind."""
    return f"checkpoints.{kind}"


def secret_subject(name: str) -> str:
    """Where a worker that may use secrets asks for the value of one."""
    return f"secrets.{name}"


class UploadGrant(msgspec.Struct, frozen=True):
    """Permission to write files below one path, and to read the step's inputs. Never stored, never logged."""

    url: str
    """The storage service's `/uploads`, for POST."""
    token: str


class WorkContext(msgspec.Struct, frozen=True):
    user_id: UUID
    collection_id: UUID
    component_id: int
    hash: str
    upload: UploadGrant


class WorkMessage(msgspec.Struct, frozen=True):
    job_id: UUID
    gid: UUID
    sid: UUID
    attempt: int
    service_required: str
    workflow: str
    payload: dict[str, Any]
    context: WorkContext
    deadline: str
    """RFC 3339, UTC, by the sender's clock: the end of the upload grant, which includes time in the queue. How long the
    attempt may take is in `seconds`."""
    traceparent: str | None = None
    seconds: float | None = None
    """How long the attempt may take from its receipt; unlike `deadline`, independent of the clocks. See WAIT_SHARE."""
    checkpoint: dict[str, Any] | None = None
    """The newest checkpoint of earlier attempts, when this message was written."""
    checkpoint_number: int = 0
    """The number of that checkpoint; 0: there is none. It also grows when the step is renewed."""
    discarded: int = 0
    """Nothing that attempts up to this one have started is continued: the step is repeated on purpose."""


class WorkResult(msgspec.Struct, frozen=True):
    """The result of one attempt; its `Nats-Msg-Id` is `<sid>:<attempt>`."""

    job_id: UUID
    gid: UUID
    sid: UUID
    attempt: int
    status: Literal["completed", "failed"]
    outputs: list[Output] = []
    error: StepError | None = None

    def subject(self, kind: str) -> str:
        """Where it is published, for work of that kind."""
        return f"results.{self.job_id}.{self.gid}.{kind}"


class Checkpoint(msgspec.Struct, frozen=True, tag_field="message", tag="checkpoint"):
    """What a step's next attempt must know; its `Nats-Msg-Id` is `<sid>:<attempt>:checkpoint:<number>`."""

    job_id: UUID
    gid: UUID
    sid: UUID
    attempt: int
    number: int
    """Counts the step's checkpoints from 1: only one with a greater number replaces the recorded one."""
    checkpoint: dict[str, Any]
    """At most MAX_CHECKPOINT bytes as JSON."""

    def subject(self, kind: str) -> str:
        """Where it is published, for work of that kind."""
        return f"results.{self.job_id}.{self.gid}.{kind}"


class CheckpointQuery(msgspec.Struct, frozen=True):
    """Asks for a step's newest checkpoint."""

    job_id: UUID
    gid: UUID
    sid: UUID


class CheckpointAnswer(msgspec.Struct, frozen=True):
    """`is_current` is False while checkpoints may wait to be recorded: ask again."""

    is_current: bool
    number: int = 0
    checkpoint: dict[str, Any] | None = None


class SecretAnswer(msgspec.Struct, frozen=True):
    """The value, or why there is none. Never stored, never logged."""

    value: str | None = None
    error: StepError | None = None


class Progress(msgspec.Struct, frozen=True):
    job_id: UUID
    gid: UUID
    sid: UUID
    component_id: int
    progress: float
    """0 to 1."""
    message: str = ""

    def subject(self, kind: str) -> str:
        """Where it is published, for work of that kind."""
        return f"progress.{self.job_id}.{self.gid}.{self.sid}.{kind}"


class CancelRequest(msgspec.Struct, frozen=True):
    """Stops attempts of one job: all, or those of a generation, of a step, or one."""

    job_id: UUID
    gid: UUID | None = None
    sid: UUID | None = None
    attempt: int | None = None

    def matches(self, work: WorkMessage) -> bool:
        """Whether it stops this attempt."""
        return (
            work.job_id == self.job_id
            and self.gid in (None, work.gid)
            and self.sid in (None, work.sid)
            and self.attempt in (None, work.attempt)
        )


class OfferedService(msgspec.Struct, frozen=True):
    """A kind of work that a worker takes."""

    type: str
    """The workflow type: `direct_job`."""
    service: str
    lanes: int
    """How many steps the worker runs at once, of all of its kinds together."""


class AttemptInProgress(msgspec.Struct, frozen=True):
    """An attempt that a worker is doing."""

    sid: UUID
    attempt: int
    since: str
    """RFC 3339, UTC, by the worker's clock."""


class OfferedModel(msgspec.Struct, frozen=True):
    """A model that a worker has: `checkpoints`, `sd_xl_base_1.0.safetensors`."""

    kind: str
    name: str


class Announcement(msgspec.Struct, frozen=True):
    """What a worker process offers and does: every ANNOUNCEMENT_SECONDS, and at its end once more, with no services."""

    instance: str
    """Unique among running processes."""
    name: str
    version: str
    services: list[OfferedService]
    working: list[AttemptInProgress]
    started_at: str
    """RFC 3339, UTC, by the worker's clock."""
    models: list[OfferedModel] | None = None
    """The models that it has; None if it does not list them: then what a step needs is not checked before it runs."""

    @property
    def subject(self) -> str:
        """Where it is published."""
        return f"workers.{self.instance}"
