"""What a request may grow into: the largest events that its generations can record, known before anything is charged.

A short text that names a long variable often, or a large number, would else become a generation that nothing can carry;
and ten thousand of a large one more history than anybody wants. Everything is counted in bytes as it is stored, at
most once per value of the input, and never less than what is really drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.generation.domain.payload.substitution import needs
from services.generation.domain.workflow import Definition
from shared.contracts.generation import PlannedStep
from shared.contracts.generation_input import GenerationInput, Step
from shared.contracts.pointers import values
from shared.contracts.problem import Detail
from shared.contracts.references import TOKEN
from shared.contracts.sizes import MAX_CHOSEN, MAX_DATA, MAX_JOB, MAX_REPRODUCTION, MAX_STARTED, encoded_size

OF_EVENT = 1024
"""Bytes of an event's ids, of its metadata, and of what one output says of a file."""
OF_REFERENCE = 64
"""Bytes that an open reference takes in a text beside its token."""
OF_SEED = 24

Largest = Mapping[str, int]
"""The bytes that the largest value of each variable has as JSON."""


def expansion_faults(
    given: GenerationInput,
    definitions: Mapping[str, Definition],
    possible: Mapping[str, Sequence[Any]],
    chosen: Mapping[str, Any],
    hashes: Sequence[str],
) -> Iterator[Detail]:
    """What would grow too large: the first of them is enough to know. `hashes` has one for each generation."""
    data = encoded_size(given.written)
    if data > MAX_DATA:
        yield Detail("/data", f"takes {data} bytes as JSON, more than {MAX_DATA}")
        return
    said = encoded_size(chosen)
    # A value that is set stands once more as its own display name in what makes the artwork again.
    reproduction = data + 2 * said + max(map(encoded_size, hashes)) + len(given.steps) * OF_SEED
    if said > MAX_CHOSEN or reproduction > MAX_REPRODUCTION:
        most = min(MAX_CHOSEN, (MAX_REPRODUCTION - data) // 2)
        yield Detail("/variables", f"take {said} bytes as JSON, more than the {most} that fit beside the collection")
        return
    largest = {name: max(map(encoded_size, each), default=2) for name, each in possible.items()}
    steps = sum(step_size(step, definitions[step.workflow], largest) for step in given.steps)
    started = sum(encoded_size(name) + size for name, size in largest.items()) + steps
    if started > MAX_STARTED:
        message = f"with variables drawn, one generation takes up to {started} bytes as JSON, more than {MAX_STARTED}"
        yield Detail("/data/steps", message)
        return
    of_one = started + steps + reproduction + (2 * len(given.steps) + 2) * OF_EVENT
    if of_one * len(hashes) > MAX_JOB:
        message = f"a generation of this collection takes up to {of_one} bytes: a job has {MAX_JOB // of_one} at most"
        yield Detail("/generations", message)


def step_size(step: Step, definition: Definition, largest: Largest) -> int:
    """Bytes of a planned step at most: its workflow's template with the payload's fields at their paths."""
    planned = PlannedStep(
        sid=UUID(int=0),
        component_id=step.id,
        workflow=step.workflow,
        workflow_version=definition.version,
        workflow_type=definition.type,
        service_required=definition.service_required,
        payload=definition.template,
        needs=needs(step.payload),
        priority=definition.priority,
    )
    sizes = {key: drawn_size(value, largest) for key, value in step.payload.items()}
    for field in definition.fields:
        if step.payload.get(field.id) is None and field.default is not None:
            sizes[field.id] = encoded_size(field.default)
    paths = sum(
        len(entry.path_jq) * 2 + sizes.get(entry.id, 0) + encoded_size(entry.default) for entry in definition.inputs
    )
    return encoded_size(planned) + len(definition.fields) * OF_SEED + paths


def drawn_size(payload: Any, largest: Largest) -> int:
    """Bytes of a payload at most, with each variable at its largest and references still open."""
    size = encoded_size(payload)
    for _, value in values(payload):
        if isinstance(value, str):
            for token in TOKEN.finditer(value):
                size += largest.get(token[1].strip(), OF_REFERENCE)
    return size
