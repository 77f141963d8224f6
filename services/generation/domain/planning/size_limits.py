"""Upper bounds of the events that a request's generations record, so that no accepted job records one too large.

A short text with many tokens of a long variable, or a large number, expands in each generation. Everything is counted
in bytes of JSON as it is stored, and never less than what is really drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.generation.domain.payload.filling import fields_in
from services.generation.domain.payload.substitution import needs
from services.generation.domain.planning.steps import Definitions
from services.generation.domain.workflow import Definition
from services.generation.domain.workflow.paths import Path
from services.generation.domain.workflow.template import RESERVED
from shared.contracts.generation import PlannedStep
from shared.contracts.generation_input import GenerationInput, Step
from shared.contracts.pointers import values
from shared.contracts.problem import Detail
from shared.contracts.references import TOKEN
from shared.contracts.sizes import MAX_CHOSEN, MAX_DATA, MAX_JOB, MAX_REPRODUCTION, MAX_STARTED, encoded_size

EVENT_BYTES = 1024
"""Of an event's ids and metadata, and of one file's metadata in an output."""
REFERENCE_BYTES = 64
"""Of an open reference in a text, besides its token."""
SEED_BYTES = 24
RESERVED_BYTES = 256
"""Of a value that the system supplies: a folder of four ids, or a bucket's name."""
TEXT_GROWTH = 3
"""A value that is no text is written as JSON within a text of a template, where each quotation mark is escaped."""

LargestValues = Mapping[str, int]
"""By variable: bytes of its largest value as JSON."""


def size_faults(
    generation_input: GenerationInput,
    definitions: Definitions,
    possible: Mapping[str, Sequence[Any]],
    chosen: Mapping[str, Any],
    hashes: Sequence[str],
) -> Iterator[Detail]:
    """The first limit that the job exceeds. `possible`: the values of each variable; `hashes`: one per generation."""
    data_size = encoded_size(generation_input.document)
    if data_size > MAX_DATA:
        yield Detail("/data", f"takes {data_size} bytes as JSON; at most {MAX_DATA} are allowed")
        return
    chosen_size = encoded_size(chosen)
    # In `gen_in_data`, a chosen value is written twice: as the value, and as its display name.
    reproduction = (
        data_size + 2 * chosen_size + max(map(encoded_size, hashes)) + len(generation_input.steps) * SEED_BYTES
    )
    if chosen_size > MAX_CHOSEN or reproduction > MAX_REPRODUCTION:
        most = min(MAX_CHOSEN, (MAX_REPRODUCTION - data_size) // 2)
        message = f"take {chosen_size} bytes as JSON; at most {most} are allowed beside this collection's data"
        yield Detail("/variables", message)
        return
    largest = {name: max(map(encoded_size, options), default=2) for name, options in possible.items()}
    steps = sum(step_size(step, definitions[step.workflow], largest) for step in generation_input.steps)
    started = sum(encoded_size(name) + size for name, size in largest.items()) + steps
    if started > MAX_STARTED:
        message = (
            f"with variables drawn, one generation takes up to {started} bytes as JSON; "
            f"at most {MAX_STARTED} are allowed"
        )
        yield Detail("/data/steps", message)
        return
    generation = started + steps + reproduction + (2 * len(generation_input.steps) + 2) * EVENT_BYTES
    if generation * len(hashes) > MAX_JOB:
        message = f"a generation takes up to {generation} bytes, so a job can have at most {MAX_JOB // generation}"
        yield Detail("/generations", message)


def step_size(step: Step, definition: Definition, largest: LargestValues) -> int:
    """An upper bound of the bytes of a planned step: its workflow's template with the values at their places."""
    template = definition.template
    planned = PlannedStep(
        sid=UUID(int=0),
        component_id=step.id,
        workflow=step.workflow,
        workflow_version=definition.version,
        workflow_type=definition.type,
        service_required=template.service,
        payload=template.document,
        needs=needs(step.payload),
        priority=definition.priority,
    )
    sizes = {key: drawn_size(value, largest) for key, value in step.payload.items()}
    for field in definition.fields:
        if step.payload.get(field.id) is None and field.default is not None:
            sizes[field.id] = encoded_size(field.default)
    placed = sum(
        path_size(placement.path)
        + (RESERVED_BYTES if placement.source in RESERVED else sizes.get(placement.source, 0))
        + encoded_size(placement.default)
        for placement in template.placements
    )
    filled = (
        sum(TEXT_GROWTH * sizes.get(name, 0) + REFERENCE_BYTES for name in fields_in(template.document))
        if template.has_variables
        else 0
    )
    models = sum(encoded_size(model) for model in template.models) + len(template.models) * REFERENCE_BYTES
    # A model's name is in the graph, and in the list of models.
    twice = placed if template.models else 0
    return encoded_size(planned) + 2 * len(definition.fields) * SEED_BYTES + placed + filled + models + twice


def path_size(path: Path) -> int:
    """Of the objects and arrays that may be made on the way to a place, each with what an index is filled with."""
    return sum(
        len('"":{},') + (part + 1) * len("null,") if isinstance(part, int) else encoded_size(part) + 6 for part in path
    )


def drawn_size(payload: Any, largest: LargestValues) -> int:
    """An upper bound of the bytes of a payload with each variable at its largest and references still open."""
    size = encoded_size(payload)
    for _, value in values(payload):
        if isinstance(value, str):
            for token in TOKEN.finditer(value):
                size += largest.get(token[1].strip(), REFERENCE_BYTES)
    return size
