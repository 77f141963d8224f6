"""A workflow: a registered definition that steps name in `nodeName`, and that jobs keep the version of."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from services.generation.domain.workflow.cost import BadCost, step_cost
from services.generation.domain.workflow.form import Field
from shared.contracts.event import Event
from shared.contracts.generation import WorkflowRegistered
from shared.contracts.problem import Detail, invalid
from shared.contracts.sizes import MAX_DATA, encoded_size

NAMESPACE = UUID("6f1b7c58-53f5-4d0e-9b0e-3f2d8c1c6a11")


_PATH = re.compile(r"\.?\w+(\.\w+)*")


def workflow_id(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


class Workflow(msgspec.Struct, frozen=True):
    """State. Version 0: not registered."""

    name: str = ""
    version: int = 0
    digest: str = ""
    definition: dict[str, Any] = {}


def evolve(state: Workflow, event: Event) -> Workflow:
    if isinstance(event, WorkflowRegistered):
        return Workflow(event.name, event.version, event.digest, event.definition)
    return state


class Register(msgspec.Struct, frozen=True):
    """`definition` is the folder's content: `{"form": …, "inputs": …, "job": …, "cost": …}`, a key per file."""

    name: str
    definition: dict[str, Any]


def decide(command: Register, state: Workflow) -> Sequence[Event]:
    """Nothing when this very content is the newest version already. Raises VALIDATION_FAILED for a bad folder."""
    digest = digest_of(command.definition)
    if digest == state.digest:
        return []
    read_definition(command.name, state.version + 1, command.definition)
    size = encoded_size(command.definition)
    if size > MAX_DATA:
        message = f"takes {size} bytes as JSON, more than {MAX_DATA}"
        raise invalid(f"The workflow {command.name} {message}", Detail("", message))
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


class Form(msgspec.Struct, frozen=True):
    fields: list[Field]
    config: dict[str, Any] = {}


class Input(msgspec.Struct, frozen=True, rename={"path_jq": "pathJq"}):
    """Where one field's value goes in the job's payload: `.a.b`, with or without the leading dot."""

    id: str
    path_jq: str
    is_required: bool = False
    default: Any = None

    @property
    def path(self) -> list[str]:
        return [part for part in self.path_jq.split(".") if part]


class Job(msgspec.Struct, frozen=True):
    """`job.json` of a direct_job: who may do the work, and the template of what it is given."""

    service_required: str
    priority: int = 50
    payload: dict[str, Any] = {}
    response_type: str = ""
    output_field: str = ""
    requirements: dict[str, Any] = {}


class Cost(msgspec.Struct, frozen=True):
    expression: str


class DirectJob(msgspec.Struct, frozen=True):
    form: Form
    inputs: list[Input]
    job: Job
    cost: Cost


class Definition(msgspec.Struct, frozen=True):
    """A definition read: what planning and validation need of it."""

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
    """Raises VALIDATION_FAILED, naming the place that can't be read."""
    try:
        read = msgspec.convert(document, DirectJob)
        step_cost(read.cost.expression, {})
    except msgspec.ValidationError as error:
        raise invalid(f"The workflow {name} can't be read", Detail("", str(error))) from None
    except BadCost as error:
        raise invalid(f"The workflow {name} has no usable cost", Detail("/cost/expression", str(error))) from None
    if not 0 <= read.job.priority <= 100:
        raise invalid(f"The workflow {name} can't be read", Detail("/job/priority", "a priority is 0 to 100"))
    if not read.job.service_required.replace("-", "").replace("_", "").isalnum():
        raise invalid(
            f"The workflow {name} can't be read",
            Detail("/job/service_required", "service_required has letters, digits, - and _ only"),
        )
    for index, each in enumerate(read.inputs):
        if not _PATH.fullmatch(each.path_jq):
            message = "a path is keys with dots between them, such as .prompt or .options.size"
            raise invalid(f"The workflow {name} can't be read", Detail(f"/inputs/{index}/pathJq", message))
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
