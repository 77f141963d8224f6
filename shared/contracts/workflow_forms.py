"""What a workflow's definition says about the fields of a step's payload, for services that do not run workflows.

The format is that of the component library: a `form` with fields, or the `variable_types` of a `dynamic` workflow.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shared.contracts.pointers import escape_token


class RequiredField(msgspec.Struct, frozen=True):
    """A member of a step's payload that must be set. `name`: what people read; may be empty."""

    id: str
    name: str = ""


def fields_of(form: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each field with its pointer; they are in `fields`, or in the older form in groups such as `main`."""
    if not isinstance(form, Mapping):
        return
    groups = ["fields"] if "fields" in form else [name for name in form if name != "config"]
    for group in groups:
        for index, field in enumerate(form[group] if isinstance(form[group], list) else ()):
            if isinstance(field, Mapping):
                yield f"/form/{escape_token(group)}/{index}", field


def required_fields(definition: Mapping[str, Any]) -> list[RequiredField]:
    """The fields that a step must set: they are required and have no default."""
    return [
        RequiredField(field_id, str(field.get("name") or ""))
        for field_id, field in _fields(definition)
        if (field.get("is_required") is True or field.get("required") is True)
        and field.get("default", field.get("defualt")) is None
    ]


def _fields(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields by their ids, of a definition of any type."""
    dynamic = definition.get("dynamic")
    if isinstance(dynamic, Mapping):
        types = dynamic.get("variable_types")
        for name, member in types.items() if isinstance(types, Mapping) else ():
            if isinstance(member, Mapping):
                yield name, {**member, "name": member.get("label", name)}
        return
    for _, field in fields_of(definition.get("form")):
        if isinstance(field.get("id"), str):
            yield field["id"], field
