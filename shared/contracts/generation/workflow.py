"""Events of a workflow: what generation knows how to run."""

from typing import Any, ClassVar
from uuid import UUID

from shared.contracts.event import Event


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
