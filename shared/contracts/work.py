"""What the generation service and its workers say to each other; the same for built-in and external workers.

Work goes out on `work.<workflow type>.<service_required>` of the work-queue stream `WORK`, results come back on
`results.<job_id>.<gid>` of the stream `RESULTS`, progress on plain NATS `progress.<job_id>.<gid>.<sid>`.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.contracts.generation import Output, StepError

WORK_STREAM = "WORK"
RESULTS_STREAM = "RESULTS"


class UploadGrant(msgspec.Struct, frozen=True):
    """Leave to write files below one path, and to read what the step refers to. Never stored, never logged."""

    url: str
    """Where files are posted: the storage service's `/uploads`."""
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
    """RFC 3339, UTC: after it the attempt counts as lost."""
    traceparent: str | None = None
    seconds: float | None = None
    """How long an attempt may take, from when its worker has it: the deadline is by the clock of who sent it."""


class WorkResult(msgspec.Struct, frozen=True):
    """One answer per attempt. Its `Nats-Msg-Id` is `<sid>:<attempt>`."""

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
