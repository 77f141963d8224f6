"""Registering a workflow: each change of its definition is a new version. Deprecating and pausing it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import msgspec

from services.generation.domain.workflow.cost import CostFunctions
from services.generation.domain.workflow.definition import read_definition
from services.generation.domain.workflow.state import Workflow, workflow_id, workflow_not_found
from services.generation.domain.workflow.trial import trial_faults
from shared.contracts.event import Event
from shared.contracts.generation import WorkflowDeprecated, WorkflowPaused, WorkflowRegistered, WorkflowUnpaused
from shared.contracts.problem import Detail, invalid
from shared.contracts.sizes import MAX_DATA, encoded_size

MAX_NAME = 200
_NAME = re.compile(r"[^\x00-\x1f/]+")


class Register(msgspec.Struct, frozen=True):
    """`definition`: the workflow's folder, with a member per file: see `folder.JSON_FILES`."""

    name: str
    definition: dict[str, Any]


class Deprecate(msgspec.Struct, frozen=True):
    name: str
    reason: str


class Pause(msgspec.Struct, frozen=True):
    name: str
    reason: str = ""


class Unpause(msgspec.Struct, frozen=True):
    name: str


Command = Register | Deprecate | Pause | Unpause


def decide(command: Command, state: Workflow, functions: CostFunctions) -> Sequence[Event]:
    """No events if the command has been carried out already.

    Raises VALIDATION_FAILED for an invalid definition, with all faults, and WORKFLOW_NOT_FOUND.
    """
    match command:
        case Register():
            return _register(command, state, functions)
        case Deprecate():
            return _deprecate(command, state)
        case Pause() | Unpause():
            return _pause(command, state)
    assert_never(command)


def _register(command: Register, state: Workflow, functions: CostFunctions) -> Sequence[Event]:
    digest = digest_of(command.definition)
    if digest == state.digest and not state.deprecated:
        return []
    if len(command.name) > MAX_NAME or not _NAME.fullmatch(command.name):
        message = f"a name has 1 to {MAX_NAME} characters, and no / or control characters"
        raise invalid("The workflow's name is not valid", Detail("/name", message))
    definition = read_definition(command.name, state.version + 1, command.definition, functions)
    faults = list(trial_faults(definition, command.definition))
    if faults:
        raise invalid(f"The definition of the workflow {command.name} is not valid", *faults)
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


def _deprecate(command: Deprecate, state: Workflow) -> Sequence[Event]:
    _check_registered(command.name, state)
    if state.deprecated:
        return []
    return [WorkflowDeprecated(workflow_id(command.name), command.name, command.reason)]


def _pause(command: Pause | Unpause, state: Workflow) -> Sequence[Event]:
    _check_registered(command.name, state)
    if isinstance(command, Pause):
        return [] if state.is_paused else [WorkflowPaused(workflow_id(command.name), command.name, command.reason)]
    return [WorkflowUnpaused(workflow_id(command.name), command.name)] if state.is_paused else []


def _check_registered(name: str, state: Workflow) -> None:
    if not state.version:
        raise workflow_not_found(name)


def digest_of(definition: Mapping[str, Any]) -> str:
    """Hex sha256 of the definition as JSON with sorted keys and no spaces."""
    return hashlib.sha256(msgspec.json.encode(definition, order="sorted")).hexdigest()
