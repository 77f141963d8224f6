"""Registering a workflow: each change of its definition is a new version."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from services.generation.domain.workflow.definition import read_definition
from services.generation.domain.workflow.state import Workflow, workflow_id
from shared.contracts.event import Event
from shared.contracts.generation import WorkflowRegistered
from shared.contracts.problem import Detail, invalid
from shared.contracts.sizes import MAX_DATA, encoded_size


class Register(msgspec.Struct, frozen=True):
    """`definition`: the workflow's folder, with a member per file: `{"form": …, "inputs": …, "job": …, "cost": …}`."""

    name: str
    definition: dict[str, Any]


def decide(command: Register, state: Workflow) -> Sequence[Event]:
    """No events if this definition is the newest version. Raises VALIDATION_FAILED for an invalid definition."""
    digest = digest_of(command.definition)
    if digest == state.digest:
        return []
    read_definition(command.name, state.version + 1, command.definition)
    size = encoded_size(command.definition)
    if size > MAX_DATA:
        message = f"takes {size} bytes as JSON; at most {MAX_DATA} are allowed"
        raise invalid(f"The definition of the workflow {command.name} {message}", Detail("", message))
    return [
        WorkflowRegistered(
            workflow_id=workflow_id(command.name),
            name=command.name,
            version=state.version + 1,
            digest=digest,
            definition=command.definition,
        )
    ]


def digest_of(definition: dict[str, Any]) -> str:
    """Hex sha256 of the definition as JSON with sorted keys and no spaces."""
    return hashlib.sha256(msgspec.json.encode(definition, order="sorted")).hexdigest()
