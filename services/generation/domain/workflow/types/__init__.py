"""The workflow types: what the files of each become (`template.Template`)."""

from collections.abc import Mapping
from typing import Any, Literal, assert_never

from services.generation.domain.workflow.template import BuiltWork, Template, build
from services.generation.domain.workflow.types import comfy_workflow, direct_job, dynamic_json, fetch_api
from shared.contracts.problem import Detail, invalid

WorkflowType = Literal["comfy_workflow", "fetch_api", "direct_job", "dynamic_json"]

MEMBERS: Mapping[str, WorkflowType] = {
    "workflow": "comfy_workflow",
    "api": "fetch_api",
    "job": "direct_job",
    "dynamic": "dynamic_json",
}
"""The member of a definition that tells its type."""


def type_of(definition: Mapping[str, Any]) -> WorkflowType:
    """Raises VALIDATION_FAILED for a definition with none of these members, or with several."""
    members = [member for member in MEMBERS if member in definition]
    if len(members) == 1:
        return MEMBERS[members[0]]
    reason = f"it has {' and '.join(members)}" if members else "it has none of them"
    message = f"a definition has one of workflow, api, job and dynamic, which tells its type; {reason}"
    raise invalid("The workflow can't be read", Detail("", message))


def read_template(kind: WorkflowType, definition: Mapping[str, Any], fields: frozenset[str]) -> Template:
    """`fields`: the ids of the form's fields. Raises VALIDATION_FAILED with a pointer into the definition."""
    match kind:
        case "comfy_workflow":
            return comfy_workflow.read(definition, fields)
        case "fetch_api":
            return fetch_api.read(definition, fields)
        case "direct_job":
            return direct_job.read(definition, fields)
        case "dynamic_json":
            return dynamic_json.read(definition)
    assert_never(kind)


def form_in(kind: WorkflowType, definition: Mapping[str, Any]) -> Any:
    """The form of a definition as a `form.json`; that of a dynamic_json is made of its variables."""
    if kind != "dynamic_json":
        return definition.get("form")
    return dynamic_json.form_of(definition)


def build_work(
    kind: WorkflowType, template: Template, payload: Mapping[str, Any], reserved: Mapping[str, str]
) -> BuiltWork:
    """A step's work, as its worker gets it, but for open references."""
    built = build(template, payload, reserved)
    if kind == "comfy_workflow":
        return BuiltWork(built.service, comfy_workflow.with_models(built.payload, template))
    return built
