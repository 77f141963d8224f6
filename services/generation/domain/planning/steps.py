"""The steps of one generation, with the payloads that its workers get."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from services.generation.domain.payload.draws import seed
from services.generation.domain.payload.prompts import drawn_prompt
from services.generation.domain.payload.substitution import drawn, needs
from services.generation.domain.workflow import Definition
from shared.contracts.generation import PlannedStep
from shared.contracts.generation_input import GenerationInput, Step

Definitions = Mapping[str, Definition]
"""By the workflow's name."""


def plan_steps(
    generation_input: GenerationInput, definitions: Definitions, values: Mapping[str, Any], gid: UUID, hash_: str
) -> list[PlannedStep]:
    """The steps of one generation, in the collection's order; `values`: its drawn variables."""
    steps: list[PlannedStep] = []
    for step in generation_input.steps:
        definition = definitions[step.workflow]
        payload = worker_payload(definition, drawn_payload(step, definition, values, hash_))
        steps.append(
            PlannedStep(
                sid=uuid5(gid, str(step.id)),
                component_id=step.id,
                workflow=step.workflow,
                workflow_version=definition.version,
                workflow_type=definition.type,
                service_required=definition.service_required,
                payload=payload,
                needs=needs(payload),
                priority=definition.priority,
            )
        )
    return steps


def drawn_payload(step: Step, definition: Definition, values: Mapping[str, Any], hash_: str) -> dict[str, Any]:
    """A step's payload with variables drawn, defaults filled in, and a seed drawn where -1 or absence asks for one."""
    prompts = {field.id for field in definition.fields if field.type == "prompt_editor"}
    payload = {
        key: drawn_prompt(value, values) if key in prompts else drawn(value, values)
        for key, value in step.payload.items()
    }
    for field in definition.fields:
        if payload.get(field.id) is None and field.default is not None:
            payload[field.id] = field.default
        if field.is_seed and payload.get(field.id) in (None, "", -1):
            payload[field.id] = seed(hash_, step.id, *field.seed_bounds)
    return payload


def worker_payload(definition: Definition, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The workflow's template with each field's value at its path."""
    built: dict[str, Any] = _copy(definition.template)
    for entry in definition.inputs:
        value = payload.get(entry.id)
        if value is None:
            value = entry.default
        if value is None:
            continue
        parent = built
        for key in entry.path[:-1]:
            parent = parent.setdefault(key, {})
        parent[entry.path[-1]] = value
    return built


def _copy(template: Any) -> Any:
    if isinstance(template, dict):
        return {key: _copy(value) for key, value in template.items()}
    return [_copy(value) for value in template] if isinstance(template, list) else template
