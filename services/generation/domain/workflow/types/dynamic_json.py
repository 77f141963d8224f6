"""dynamic_json: one file `{job_type, template, variable_types}`; its form is made from `variable_types`."""

from collections.abc import Mapping
from typing import Any

from services.generation.domain.payload.filling import fields_in
from services.generation.domain.workflow.template import Template
from services.generation.domain.workflow.types.services import service_faults
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, invalid

FIELD_TYPES: Mapping[str, str] = {
    "select": "select",
    "textarea": "prompt_editor",
    "text": "input",
    "string": "input",
    "number": "input",
    "integer": "input",
    "slider": "slider",
    "checkbox": "checkbox",
    "boolean": "checkbox",
    "image": "image_loader",
    "color": "color_picker",
}
"""The form's field type for each type of a variable; others take any value."""


def read(definition: Mapping[str, Any]) -> Template:
    """Raises VALIDATION_FAILED."""
    dynamic = definition["dynamic"]
    if not isinstance(dynamic, Mapping):
        raise invalid("The workflow can't be read", Detail("/dynamic", "must be an object"))
    faults = list(service_faults(dynamic.get("job_type"), "/dynamic/job_type"))
    template, types = dynamic.get("template"), dynamic.get("variable_types", {})
    if not isinstance(template, Mapping):
        faults.append(
            Detail("/dynamic/template", "is required, and must be an object: the work that a worker receives")
        )
    if not isinstance(types, Mapping) or not all(isinstance(member, Mapping) for member in types.values()):
        faults.append(
            Detail("/dynamic/variable_types", "must be an object of {type, options, default, required, min, max}")
        )
    else:
        unknown = dict.fromkeys(name for name in fields_in(template) if name not in types)
        faults.extend(
            Detail("/dynamic/template", f"{{{{{name}}}}} is in the template and not in variable_types")
            for name in unknown
        )
    if faults or not isinstance(template, Mapping):
        raise invalid("The workflow can't be read", *faults)
    unused = [name for name in types if name not in set(fields_in(template))]
    return Template(
        document=dict(template),
        placements=(),
        service=dynamic["job_type"],
        has_variables=True,
        notes=[f"{name!r} is in variable_types and not in the template" for name in unused],
    )


def form_of(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The form that `variable_types` stand for, as a `form.json`."""
    dynamic = definition["dynamic"]
    types = dynamic.get("variable_types") if isinstance(dynamic, Mapping) else None
    members = types.items() if isinstance(types, Mapping) else ()
    return {"config": {}, "fields": [_field(name, member) for name, member in members if isinstance(member, Mapping)]}


def _field(name: str, member: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(member.get("type", ""))
    field: dict[str, Any] = {"id": name, "name": member.get("label", name), "type": FIELD_TYPES.get(kind, kind)}
    limits = {key: member[key] for key in ("min", "max", "step") if member.get(key) is not None}
    if kind == "integer":
        limits.setdefault("step", 1)
    if limits:
        field["constraints"] = limits
    elif kind == "number":
        field["input_type"] = "number"
    for key in ("options", "default", "required"):
        if member.get(key) is not None:
            field[key] = member[key]
    return field


def pointer_of(name: str) -> str:
    """The pointer of a variable's type, for faults of the form that is made of them."""
    return f"/dynamic/variable_types/{escape_token(name)}"
