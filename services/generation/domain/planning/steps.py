"""The steps of one generation, with the payloads that its workers get."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

import msgspec

from services.generation.domain.payload.draws import seed
from services.generation.domain.payload.prompts import substitute_prompt
from services.generation.domain.payload.substitution import needs, substitute
from services.generation.domain.workflow import Definition
from services.generation.domain.workflow.cost import step_cost
from services.generation.domain.workflow.types import build_work
from shared.contracts.generation import PlannedStep
from shared.contracts.generation_input import GenerationInput, Step
from shared.contracts.grants import step_prefix

Definitions = Mapping[str, Definition]
"""By the workflow's name."""

BUCKET = "emprops"
"""Where no other name is set. Workers store files by their grants, whatever bucket a workflow names."""
NO_SEED = (None, "", -1)
"""Values of a seed that ask for a drawn one."""
EXTENSIONS = {"image": "png", "video": "mp4", "audio": "mp3", "text": "txt", "json": "json", "any": "png"}
"""Of the file name that a workflow may ask for, by what it makes."""


class StepOwner(msgspec.Struct, frozen=True):
    """Whose steps are planned, and the bucket of their files."""

    user_id: UUID
    job_id: UUID
    gid: UUID
    bucket: str = BUCKET

    def reserved(self, sid: UUID, definition: Definition) -> dict[str, str]:
        """The values that the system supplies: see `template.RESERVED`."""
        return {
            "prefix": step_prefix(self.user_id, self.job_id, self.gid, sid),
            "filename": f"{sid}.{EXTENSIONS[definition.template.produces]}",
            "bucket": self.bucket,
        }


def plan_steps(
    generation_input: GenerationInput,
    definitions: Definitions,
    values: Mapping[str, Any],
    hash_: str,
    owner: StepOwner,
    *,
    priced: bool = False,
) -> list[PlannedStep]:
    """The steps of one generation, in the collection's order; `values`: its drawn variables.

    `priced`: with the cost of each, which raises InvalidCost where the quote did.
    """
    steps: list[PlannedStep] = []
    for step in generation_input.steps:
        definition = definitions[step.workflow]
        sid = uuid5(owner.gid, str(step.id))
        payload = drawn_payload(step, definition, values, hash_)
        work = build_work(definition.type, definition.template, payload, owner.reserved(sid, definition))
        steps.append(
            PlannedStep(
                sid=sid,
                component_id=step.id,
                workflow=step.workflow,
                workflow_version=definition.version,
                workflow_type=definition.type,
                service_required=work.service,
                payload=work.payload,
                needs=needs(work.payload),
                priority=definition.priority,
                seeds=drawn_seeds(step, definition, values, payload),
                cost=step_cost(definition.cost, payload).micro if priced else None,
            )
        )
    return steps


def drawn_payload(step: Step, definition: Definition, values: Mapping[str, Any], hash_: str) -> dict[str, Any]:
    """A step's payload with variables drawn, defaults filled in, and a seed drawn where -1 or absence asks for one."""
    payload = _written_payload(step, definition, values)
    for field in definition.fields:
        if payload.get(field.id) is None and field.default is not None:
            payload[field.id] = field.default
        if field.is_seed and payload.get(field.id) in NO_SEED:
            payload[field.id] = seed(hash_, step.id, *field.seed_bounds)
    return payload


def drawn_seeds(
    step: Step, definition: Definition, values: Mapping[str, Any], payload: Mapping[str, Any]
) -> dict[str, int]:
    """By field: the seeds of a drawn payload that depend on the step's id."""
    fields = [field for field in definition.fields if field.is_seed]
    if not fields:
        return {}
    unseeded = _written_payload(step, definition, values)
    return {field.id: payload[field.id] for field in fields if unseeded.get(field.id) in NO_SEED}


def _written_payload(step: Step, definition: Definition, values: Mapping[str, Any]) -> dict[str, Any]:
    prompts = {field.id for field in definition.fields if field.type == "prompt_editor"}
    return {
        key: substitute_prompt(value, values) if key in prompts else substitute(value, values)
        for key, value in step.payload.items()
    }
