"""What clients see of workflows and models."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.http.amounts import MaybeCredits


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
