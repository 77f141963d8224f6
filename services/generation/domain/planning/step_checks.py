"""Checks of a job's steps against their workflows: what a form can't say."""

from collections.abc import Iterator, Mapping

from services.generation.domain.planning.steps import Definitions
from services.generation.domain.workflow import Definition
from services.generation.domain.workflow.template import RESERVED, Produces
from shared.contracts.generation_input import GenerationInput, Step
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, quote
from shared.contracts.references import walk

NO_IMAGE: frozenset[Produces] = frozenset({"text", "json", "audio"})
"""What a field for an image can't take."""


def unknown_workflows(generation_input: GenerationInput, definitions: Definitions) -> Iterator[Detail]:
    for step in generation_input.steps:
        if step.workflow not in definitions:
            yield Detail(
                f"{step.pointer}/nodeName", f"there is no workflow {quote(step.workflow)}; GET /workflows lists all"
            )


def limit_faults(generation_input: GenerationInput, definitions: Definitions, count: int) -> Iterator[Detail]:
    """A fault for the workflow that allows the fewest generations of a job, if `count` is more."""
    limits = [
        (definition.max_generations, step.workflow)
        for step in generation_input.steps
        if (definition := definitions.get(step.workflow)) is not None and definition.max_generations is not None
    ]
    most, name = min(limits, default=(count, ""))
    if count > most:
        yield Detail("/generations", f"a job with the workflow {name} has at most {most} generations, not {count}")


def step_faults(generation_input: GenerationInput, definitions: Definitions) -> Iterator[Detail]:
    """Missing inputs, inputs of graphs that are linked to nothing, and references that an image's field can't take."""
    produces: dict[int, Produces] = {
        step.id: definitions[step.workflow].template.produces
        for step in generation_input.steps
        if step.workflow in definitions
    }
    for step in generation_input.steps:
        definition = definitions.get(step.workflow)
        if definition is not None:
            yield from _missing_inputs(step, definition)
            yield from _unlinked_inputs(step, definition)
            yield from _image_faults(step, definition, produces)


def _missing_inputs(step: Step, definition: Definition) -> Iterator[Detail]:
    """Fields that the form does not require and the workflow's inputs do."""
    fields = {field.id: field for field in definition.fields}
    missing = dict.fromkeys(
        placement.source
        for placement in definition.template.placements
        if placement.is_required and placement.default is None and placement.source not in RESERVED
    )
    for source in missing:
        field = fields.get(source)
        if field is None or field.default is not None or field.must_be_set or field.is_seed:
            continue
        if step.payload.get(source) in (None, ""):
            pointer = f"{step.pointer}/nodePayload/{escape_token(source)}"
            yield Detail(pointer, f"{field.name or field.id} is required by the workflow {definition.name}")


def _unlinked_inputs(step: Step, definition: Definition) -> Iterator[Detail]:
    """An input that a field sets is linked by the field; those that nothing sets are faults of the workflow."""
    template = definition.template
    for path, message in template.unlinked:
        sources = [placement for placement in template.placements if tuple(placement.path) == tuple(path)]
        if not any(
            placement.default is not None
            or placement.source in RESERVED
            or step.payload.get(placement.source) is not None
            for placement in sources
        ):
            yield Detail(f"{step.pointer}/nodeName", f"the graph of {definition.name} can't run: {message}")


def _image_faults(step: Step, definition: Definition, produces: Mapping[int, Produces]) -> Iterator[Detail]:
    for field in definition.fields:
        if field.type != "image_loader":
            continue
        pointer = f"{step.pointer}/nodePayload/{escape_token(field.id)}"
        for reference in walk(step.payload.get(field.id), pointer):
            kind = produces.get(reference.step_id, "any")
            if kind in NO_IMAGE:
                message = f"{field.name or field.id} takes an image; step {reference.step_id} makes {kind}"
                yield Detail(str(reference.pointer), message)
