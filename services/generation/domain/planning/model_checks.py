"""Models that a job needs and no connected worker has: known before anything is charged."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.steps import Definitions, StepOwner, plan_steps
from services.generation.domain.workflow.template import Model
from shared.contracts.generation_input import GenerationInput
from shared.contracts.problem import Detail

AvailableModels = frozenset[Model] | None
"""The models that connected workers have; None if that is not known, and nothing is refused."""
MAX_CHECKED = 100
"""Generations whose models are looked at: a variable may choose a model."""

_NO_OWNER = StepOwner(UUID(int=0), UUID(int=0), UUID(int=0))


def missing_models(
    generation_input: GenerationInput,
    definitions: Definitions,
    chosen: Mapping[str, Any],
    hashes: Sequence[str],
    available: AvailableModels,
) -> Iterator[Detail]:
    """A fault for each step and model that no connected worker has, by the first MAX_CHECKED generations."""
    if available is None or not any(definitions[step.workflow].template.models for step in generation_input.steps):
        return
    pointers = {step.id: step.pointer for step in generation_input.steps}
    reported: set[tuple[int, Model]] = set()
    for hash_ in hashes[:MAX_CHECKED]:
        values = draw(generation_input.variables, chosen, hash_)
        for step in plan_steps(generation_input, definitions, values, hash_, _NO_OWNER):
            if step.workflow_type != "comfy_workflow":
                continue
            for document in step.payload.get("models", ()):
                model = Model(document["kind"], document["name"])
                if model not in available and (step.component_id, model) not in reported:
                    reported.add((step.component_id, model))
                    message = f"{step.workflow} needs the model {model.kind}/{model.name}, which no worker has now"
                    yield Detail(f"{pointers[step.component_id]}/nodeName", message)
