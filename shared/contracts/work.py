"""The messages between the generation service and its workers, built-in and external.

Work is published to `work.<workflow type>.<service_required>` of the work-queue stream `WORK`, results to
`results.<job_id>.<gid>` of the stream `RESULTS`, progress to core NATS `progress.<job_id>.<gid>.<sid>`.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.contracts.generation import Output, StepError

WORK_STREAM = "WORK"
RESULTS_STREAM = "RESULTS"


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
    """RFC 3339, UTC, by the sender's clock: after it the attempt counts as lost."""
    traceparent: str | None = None
    seconds: float | None = None
    """How long the attempt may take from its receipt; unlike `deadline`, independent of the clocks."""


class WorkResult(msgspec.Struct, frozen=True):
    """The result of one attempt; its `Nats-Msg-Id` is `<sid>:<attempt>`."""

    job_id: UUID
    gid: UUID
    sid: UUID
    attempt: int
    status: Literal["completed", "failed"]
    outputs: list[Output] = []
    error: StepError | None = None


class Progress(msgspec.Struct, frozen=True):
    job_id: UUID
    gid: UUID
    sid: UUID
    component_id: int
    progress: float
    """0 to 1."""
    message: str = ""
