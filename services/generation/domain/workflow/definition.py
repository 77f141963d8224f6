"""A workflow's definition, read and checked, whatever its type.

A definition has a member per file of the workflow's folder (`folder.JSON_FILES`); the format is that of the platform's
component library. Definitions in events of all earlier releases can be read.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from services.generation.domain.workflow.cost import Cost, CostFunctions, InvalidCost, constant_cost
from services.generation.domain.workflow.form import Constraints, Field
from services.generation.domain.workflow.form_file import form_faults, max_generations, read_fields
from services.generation.domain.workflow.template import Template
from services.generation.domain.workflow.types import WorkflowType, form_in, read_template, type_of
from services.generation.domain.workflow.types.direct_job import priority_of
from shared.contracts.problem import Detail, Problem, invalid
from shared.contracts.workflow_forms import fields_of

MAX_FAULTS = 100
"""Faults of a definition in one answer."""


class Definition(msgspec.Struct, frozen=True):
    """What checks and planning need of a definition. `max_generations`: of a job with this workflow."""

    name: str
    version: int
    type: WorkflowType
    fields: Sequence[Field]
    template: Template
    priority: int
    cost: Cost
    max_generations: int | None = None


def read_definition(name: str, version: int, document: Mapping[str, Any], functions: CostFunctions) -> Definition:
    """Raises VALIDATION_FAILED with all faults, each with its pointer into the definition."""
    faults: list[Detail] = []
    try:
        kind = type_of(document)
    except Problem as problem:
        raise invalid(_title(name), *problem.details) from None
    form = form_in(kind, document)
    faults.extend(form_faults(form))
    fields = frozenset(field["id"] for _, field in fields_of(form) if isinstance(field.get("id"), str))
    template = cost = None
    try:
        template = read_template(kind, document, fields)
    except Problem as problem:
        faults.extend(problem.details)
    try:
        cost = _cost(document, functions)
    except Problem as problem:
        faults.extend(problem.details)
    if faults or template is None or cost is None:
        raise invalid(_title(name), *faults[:MAX_FAULTS])
    lists = document.get("confs")
    return Definition(
        name=name,
        version=version,
        type=kind,
        fields=list(_fields(form, lists if isinstance(lists, Mapping) else {})),
        template=template,
        priority=priority_of(document),
        cost=cost,
        max_generations=max_generations(form),
    )


def _title(name: str) -> str:
    return f"The definition of the workflow {name} is not valid"


def _fields(form: Any, lists: Mapping[str, Any]) -> Iterator[Field]:
    for field in read_fields(form, lists):
        limits = field["constraints"]
        yield Field(
            id=field["id"],
            type=str(field["type"]),
            input_type=str(field["input_type"]),
            name=str(field["name"]),
            default=field["default"],
            constraints=Constraints(
                min=limits.get("min"),
                max=limits.get("max"),
                step=limits.get("step"),
                max_length=limits.get("maxLength"),
            ),
            options=field["options"],
            is_required=field["is_required"],
        )


def _cost(document: Mapping[str, Any], functions: CostFunctions) -> Cost:
    """Raises VALIDATION_FAILED."""
    source, constant = document.get("credits"), document.get("cost")
    if source is not None and constant is not None:
        raise _invalid_cost("/cost", "a workflow has one cost: either cost.json or credits.js")
    if source is not None:
        if not isinstance(source, str):
            raise _invalid_cost("/credits", "must be the text of a credits.js")
        try:
            return Cost(compute=functions(source))
        except InvalidCost as error:
            raise _invalid_cost("/credits", str(error)) from None
    if not isinstance(constant, Mapping) or not isinstance(constant.get("expression"), str):
        raise _invalid_cost("/cost", 'is required: {"expression": "0.25"}, or the text of a credits.js')
    try:
        return constant_cost(constant["expression"])
    except InvalidCost as error:
        raise _invalid_cost("/cost/expression", str(error)) from None


def _invalid_cost(pointer: str, message: str) -> Problem:
    return invalid("The cost is not valid", Detail(pointer, message))
