"""`form.json` as it is in the component library: both of its forms, with what is missing or misspelt in them."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.contracts.problem import Detail
from shared.contracts.workflow_forms import fields_of

LIMITS = ("min", "max", "step", "maxLength")


def form_faults(form: Any) -> Iterator[Detail]:
    """Why a form can't be read; what can be read in some way is no fault."""
    if not isinstance(form, Mapping):
        yield Detail("/form", "is required, and must be an object with fields")
        return
    if "fields" in form and not isinstance(form["fields"], list):
        yield Detail("/form/fields", "must be a list of fields")
    ids: set[str] = set()
    for pointer, field in fields_of(form):
        field_id = field.get("id")
        if not isinstance(field_id, str) or not field_id:
            yield Detail(f"{pointer}/id", "is required: the field's name in a step's payload")
        elif field_id in ids:
            yield Detail(f"{pointer}/id", f"{field_id!r} is the id of an earlier field")
        else:
            ids.add(field_id)


def read_fields(form: Any, lists: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields in one form: `{id, type, input_type, name, default, constraints, options, is_required}`.

    `lists`: the shared option lists by file name; one that is not a list of options restricts nothing.
    """
    return [_read(field, lists) for _, field in fields_of(form)]


def max_generations(form: Any) -> int | None:
    """`config.maxNumberOfGenerations`: how many generations a job with this workflow may have."""
    config = form.get("config") if isinstance(form, Mapping) else None
    most = config.get("maxNumberOfGenerations") if isinstance(config, Mapping) else None
    return most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None


def _read(field: Mapping[str, Any], lists: Mapping[str, Any]) -> dict[str, Any]:
    constraints = field.get("constraints")
    limits = constraints if isinstance(constraints, Mapping) else {}
    options = field.get("options", lists.get(str(field.get("conf_file"))))
    return {
        "id": field["id"],
        "type": field.get("type") or "",
        "input_type": field.get("input_type") or "",
        "name": field.get("name") or "",
        "default": field.get("default", field.get("defualt")),
        "constraints": {key: limits[key] for key in LIMITS if _is_limit(limits.get(key))},
        "options": options if isinstance(options, list) else None,
        "is_required": field.get("is_required") is True or field.get("required") is True,
    }


def _is_limit(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
