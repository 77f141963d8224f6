"""What of a collection's instructions generation could not run.

Steps of a workflow that there is none of, or without a field that it requires; variables without a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, quote
from shared.contracts.workflow_forms import RequiredField

RequiredFields = Mapping[str, Sequence[RequiredField]]
"""By the names of all workflows; empty if none are known."""


def workflow_faults(data: Mapping[str, Any], workflows: RequiredFields) -> Iterator[Detail]:
    """The faults of a collection's steps, with pointers into the collection; none while no workflows are known."""
    for index, step in enumerate(data["steps"] if workflows else ()):
        name, payload, pointer = step["nodeName"], step.get("nodePayload") or {}, f"/data/steps/{index}"
        if name not in workflows:
            yield Detail(f"{pointer}/nodeName", f"there is no workflow {quote(name)}")
        for field in workflows.get(name, ()):
            if payload.get(field.id) in (None, ""):
                message = f"{field.name or field.id} is required by the workflow {quote(name)}"
                yield Detail(f"{pointer}/nodePayload/{escape_token(field.id)}", message)


def variable_faults(data: Mapping[str, Any]) -> Iterator[Detail]:
    """The variables without a value that can be drawn. Picks have been refused without one when they were set."""
    for index, variable in enumerate(data.get("variables") or []):
        if variable.get("value") is None:
            message = f"the variable {quote(variable['name'])} has no value that can be drawn: set one, or remove it"
            yield Detail(f"/data/variables/{index}/value", message)
