"""Events of a workflow: a kind of step that workers can run."""

from typing import Any, ClassVar
from uuid import UUID

from shared.contracts.event import Event


class WorkflowEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "workflow"


class WorkflowRegistered(WorkflowEvent, frozen=True, tag="workflow_registered.v1"):
    """A workflow has a new version; jobs keep the version they started with. `definition`: its folder's content."""

    workflow_id: UUID
    name: str
    version: int
    digest: str
    """sha256 of the canonical definition: makes an import idempotent."""
    definition: dict[str, Any]


class WorkflowDeprecated(WorkflowEvent, frozen=True, tag="workflow_deprecated.v1"):
    """A workflow should no longer be used. Collections that use it still run; its next version ends the deprecation."""

    workflow_id: UUID
    name: str
    reason: str


class WorkflowPaused(WorkflowEvent, frozen=True, tag="workflow_paused.v1"):
    """An operator paused the workflow: what is running of it goes on, and no other step of it is sent to a worker."""

    workflow_id: UUID
    name: str
    reason: str = ""


class WorkflowUnpaused(WorkflowEvent, frozen=True, tag="workflow_unpaused.v1"):
    """An operator continued a paused workflow."""

    workflow_id: UUID
    name: str
