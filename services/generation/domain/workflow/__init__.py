"""The workflow aggregate: a registered definition that steps name in `nodeName`, and that jobs keep the version of."""

from services.generation.domain.workflow.definition import (
    Definition,
    Register,
    Workflow,
    decide,
    evolve,
    read_definition,
    workflow_id,
)

__all__ = ["Definition", "Register", "Workflow", "decide", "evolve", "read_definition", "workflow_id"]
