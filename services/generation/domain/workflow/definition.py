"""A workflow's definition, read and checked. The only type so far is `direct_job`.

A definition has a member per file of the workflow's folder; the format is that of the platform's component library.
"""

import re
from typing import Any

import msgspec

from services.generation.domain.workflow.cost import InvalidCost, step_cost
from services.generation.domain.workflow.form import Field
from shared.contracts.problem import Detail, Problem, invalid

MAX_PRIORITY = 100

_PATH = re.compile(r"\.?\w+(\.\w+)*")


class Form(msgspec.Struct, frozen=True):
    """`form.json`."""

    fields: list[Field]
    config: dict[str, Any] = {}


class Input(msgspec.Struct, frozen=True, rename={"path_jq": "pathJq"}):
    """One entry of `inputs.json`: where a field's value goes in the worker's payload, as `.a.b` or `a.b`."""

    id: str
    path_jq: str
    is_required: bool = False
    default: Any = None

    @property
    def path(self) -> list[str]:
        return [part for part in self.path_jq.split(".") if part]


class Job(msgspec.Struct, frozen=True):
    """`job.json`: which workers can run the step, and the template of the payload that they get."""

    service_required: str
    priority: int = 50
    payload: dict[str, Any] = {}
    response_type: str = ""
    output_field: str = ""
    requirements: dict[str, Any] = {}


class Cost(msgspec.Struct, frozen=True):
    """`cost.json`."""

    expression: str


class DirectJob(msgspec.Struct, frozen=True):
    """The members of a `direct_job` definition."""

    form: Form
    inputs: list[Input]
    job: Job
    cost: Cost


class Definition(msgspec.Struct, frozen=True):
    """What checks and planning need of a definition, whatever its type. `cost`: see `cost.step_cost`."""

    name: str
    version: int
    type: str
    fields: list[Field]
    inputs: list[Input]
    service_required: str
    priority: int
    template: dict[str, Any]
    cost: str


def read_definition(name: str, version: int, document: dict[str, Any]) -> Definition:
    """Raises VALIDATION_FAILED with a pointer into the definition."""
    try:
        read = msgspec.convert(document, DirectJob)
    except msgspec.ValidationError as error:
        raise _invalid(name, "", str(error)) from None
    try:
        step_cost(read.cost.expression, {})
    except InvalidCost as error:
        raise _invalid(name, "/cost/expression", str(error)) from None
    if not 0 <= read.job.priority <= MAX_PRIORITY:
        raise _invalid(name, "/job/priority", f"a priority must be an integer from 0 to {MAX_PRIORITY}")
    if not read.job.service_required.replace("-", "").replace("_", "").isalnum():
        message = "service_required must have letters, digits, - and _ only, and at least one letter or digit"
        raise _invalid(name, "/job/service_required", message)
    for index, entry in enumerate(read.inputs):
        if not _PATH.fullmatch(entry.path_jq):
            message = "pathJq must be keys with dots between them, such as .prompt or .options.size"
            raise _invalid(name, f"/inputs/{index}/pathJq", message)
    return Definition(
        name=name,
        version=version,
        type="direct_job",
        fields=read.form.fields,
        inputs=read.inputs,
        service_required=read.job.service_required,
        priority=read.job.priority,
        template=read.job.payload,
        cost=read.cost.expression,
    )


def _invalid(name: str, pointer: str, message: str) -> Problem:
    return invalid(f"The definition of the workflow {name} is not valid", Detail(pointer, message))
