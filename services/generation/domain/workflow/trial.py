"""A workflow's test values: what one step of it is tried with, at its registration and by an operator."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.generation.domain.workflow.cost import InvalidCost, step_cost
from services.generation.domain.workflow.definition import Definition
from services.generation.domain.workflow.form import Field, value_fault
from services.generation.domain.workflow.types import form_in
from shared.contracts.problem import Detail
from shared.contracts.workflow_forms import fields_of


def values_to_try(definition: Definition, document: Mapping[str, Any]) -> dict[str, Any]:
    """By field: those of `test.json`, else the form's `test_value`, else its default.

    A number that is written as a text, as it occurs in the library, becomes one where the field takes numbers only.
    """
    test_values = document.get("test")
    values: dict[str, Any] = {
        field["id"]: field["test_value"]
        for _, field in fields_of(form_in(definition.type, document))
        if field.get("test_value") is not None
    }
    fields = {field.id: field for field in definition.fields}
    if isinstance(test_values, Mapping):
        values.update({name: value for name, value in test_values.items() if name in fields and value is not None})
    defaults = {field.id: field.default for field in definition.fields if field.default is not None}
    return {**defaults, **{name: _as_taken(fields[name], value) for name, value in values.items()}}


def trial_faults(definition: Definition, document: Mapping[str, Any]) -> Iterator[Detail]:
    """A cost function that fails with the test values."""
    try:
        step_cost(definition.cost, values_to_try(definition, document))
    except InvalidCost as error:
        yield Detail("/credits", f"{error} (with the test values: test.json, test_value and defaults)")


def _as_taken(field: Field, value: Any) -> Any:
    if not isinstance(value, str) or value_fault(field, value) is None:
        return value
    for convert in (int, float):
        try:
            number = convert(value)
        except ValueError:
            continue
        return number if value_fault(field, number) is None else value
    return value
