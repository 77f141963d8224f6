"""What a workflow sends to its workers: a JSON template, and where a step's values go in it.

Each workflow type reads its files into one of these, so that planning knows no types. The members of `document` are
those of a work message's payload (`shared/contracts/work.py`), except for `service` and `payload` of job types whose
service may be set by a field.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from services.generation.domain.payload.filling import fill
from services.generation.domain.payload.substitution import literal, literal_key
from services.generation.domain.workflow.paths import Path, set_at

Produces = Literal["image", "video", "audio", "text", "json", "any"]
"""What a workflow's first output is, as far as its files tell."""

RESERVED = ("prefix", "filename", "bucket")
"""Values of an input that the system supplies: the folder of the step's files, a file name, and the bucket."""


class Placement(msgspec.Struct, frozen=True):
    """One input: the value of a field (or a reserved value) goes to a path of the document."""

    source: str
    path: Path
    is_required: bool = False
    default: Any = None
    """Used where the payload has no value; None leaves what the template has there."""


class Model(msgspec.Struct, frozen=True, order=True):
    """A model file that a server must have. `kind` is its folder, such as checkpoints, vae or loras."""

    kind: str
    name: str


class Template(msgspec.Struct, frozen=True):
    document: dict[str, Any]
    placements: Sequence[Placement]
    service: str
    """Who does the work; a placement at `("service_required",)` may replace it."""
    produces: Produces = "any"
    has_variables: bool = False
    """Whether texts of the document hold `{{field}}` tokens (dynamic_json)."""
    models: Sequence[Model] = ()
    """All that the files name."""
    required_models: Sequence[Model] = ()
    """Those of `models` that are needed whatever a step's values are."""
    unlinked: Sequence[tuple[Path, str]] = ()
    """Inputs that a run needs and that are linked to nothing, unless a placement sets them: where, and why."""
    notes: Sequence[str] = ()
    """What an operator should know about the import: inputs that lead nowhere, and the like."""


class BuiltWork(msgspec.Struct, frozen=True):
    service: str
    payload: dict[str, Any]


def build(template: Template, payload: Mapping[str, Any], reserved: Mapping[str, str]) -> BuiltWork:
    """A step's work: the document with the payload's values at their paths, open references included.

    `reserved`: the values of `RESERVED`.
    """
    document: dict[str, Any] = literal(template.document)
    if template.has_variables:
        document = fill(document, payload)
    for placement in template.placements:
        value = payload.get(placement.source)
        if value is None:
            value = reserved.get(placement.source, placement.default)
        if value is not None:
            path = tuple(literal_key(part) if isinstance(part, str) else part for part in placement.path)
            set_at(document, path, value)
    if "service_required" in document:
        return BuiltWork(str(document["service_required"]), _object(document.get("payload")))
    return BuiltWork(template.service, document)


def _object(payload: Any) -> dict[str, Any]:
    """A job's payload as an object; a field may replace the whole of it by another JSON value."""
    return payload if isinstance(payload, dict) else {"value": payload}
