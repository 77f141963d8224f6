"""A workflow's state, folded from its events. Its id is derived from its name."""

from typing import Any
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import WorkflowDeprecated, WorkflowPaused, WorkflowRegistered, WorkflowUnpaused
from shared.contracts.problem import Problem, quote

NAMESPACE = UUID("6f1b7c58-53f5-4d0e-9b0e-3f2d8c1c6a11")


def workflow_id(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


def workflow_not_found(id_or_name: str) -> Problem:
    return Problem("WORKFLOW_NOT_FOUND", f"There is no workflow {quote(id_or_name)}: GET /workflows lists all")


class Workflow(msgspec.Struct, frozen=True):
    """Version 0: not registered."""

    name: str = ""
    version: int = 0
    digest: str = ""
    definition: dict[str, Any] = {}
    deprecated: str = ""
    """Why; empty if it is not."""
    is_paused: bool = False
    """By an operator, who need not say why; a new version is paused too."""


def evolve(state: Workflow, event: Event) -> Workflow:
    match event:
        case WorkflowRegistered():
            return Workflow(
                event.name, event.version, event.digest, event.definition, deprecated="", is_paused=state.is_paused
            )
        case WorkflowDeprecated():
            return msgspec.structs.replace(state, deprecated=event.reason)
        case WorkflowPaused() | WorkflowUnpaused():
            return msgspec.structs.replace(state, is_paused=isinstance(event, WorkflowPaused))
    raise AssertionError(f"{event!r} is not an event of a workflow")
