"""The workflow aggregate: a definition that steps name in `nodeName`, and that a job keeps the version of."""

from services.generation.domain.workflow.definition import Definition, read_definition
from services.generation.domain.workflow.registration import Command, Deprecate, Pause, Register, Unpause, decide
from services.generation.domain.workflow.state import Workflow, evolve, workflow_id, workflow_not_found

__all__ = [
    "Command",
    "Definition",
    "Deprecate",
    "Pause",
    "Register",
    "Unpause",
    "Workflow",
    "decide",
    "evolve",
    "read_definition",
    "workflow_id",
    "workflow_not_found",
]
