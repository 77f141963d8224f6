"""From a request to a job, and from a job to the steps of each of its generations.

Everything that can be wrong is found here, before anything is recorded; what is planned runs as it was quoted.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from services.generation.domain.payload.draws import choose, draw, seed
from services.generation.domain.payload.substitution import drawn, drawn_prompt, needs
from services.generation.domain.planning.size_limits import expansion_faults
from services.generation.domain.workflow import Definition
from services.generation.domain.workflow.cost import is_constant, step_cost
from services.generation.domain.workflow.form import Possible, payload_faults
from shared.contracts.generation import PlannedStep, RequestedGeneration
from shared.contracts.generation_input import (
    MAX_DETAILS,
    MAX_NAMES,
    GenerationInput,
    Step,
    count_faults,
    hash_faults,
)
from shared.contracts.problem import Detail, Problem, invalid

Definitions = Mapping[str, Definition]


class Request(msgspec.Struct, frozen=True):
    """What the client asks for; None leaves it to the collection's own `generations`."""

    variables: dict[str, Any] = {}
    generations: int | None = None
    hashes: list[str] | None = None


class JobPlan(msgspec.Struct, frozen=True):
    chosen: dict[str, Any]
    generations: list[RequestedGeneration]
    quoted: int
    """Micro-credits: what all generations cost together."""


def plan_job(
    given: GenerationInput, definitions: Definitions, request: Request, job_id: UUID, made_hashes: Sequence[str]
) -> JobPlan:
    """The job that a request asks for. `made_hashes` is used where neither request nor collection gives hashes.

    Raises WORKFLOW_NOT_FOUND for steps whose workflow is not among `definitions`, and VALIDATION_FAILED for
    everything else that is wrong. Pointers are into the request's body, or `/data/…` into the collection's.
    """
    hashes = _hashes(given, request, made_hashes)
    chosen = choose(given.variables, request.variables)
    _check_steps(given, definitions, chosen, hashes)
    same = all(is_constant(definitions[step.workflow].cost) for step in given.steps)
    first = generation_cost(given, definitions, chosen, hashes[0])
    generations = [
        RequestedGeneration(
            gid=uuid5(job_id, str(index)),
            hash=hash_,
            cost=first if same else generation_cost(given, definitions, chosen, hash_),
        )
        for index, hash_ in enumerate(hashes)
    ]
    return JobPlan(chosen, generations, sum(each.cost for each in generations))


def wanted(given: GenerationInput, request: Request) -> int:
    """How many generations the request is for. Raises VALIDATION_FAILED."""
    faults = list(count_faults(request.generations, "/generations")) if request.generations is not None else []
    if request.hashes is not None:
        faults.extend(hash_faults(request.hashes, "/hashes"))
        if not request.hashes:
            faults.append(Detail("/hashes", "hashes has one hash per generation; leave it out to have them made"))
    if faults:
        raise invalid("The request is not valid", *faults[:MAX_DETAILS])
    if request.generations is not None:
        return request.generations
    return len(request.hashes) if request.hashes is not None else given.generations


def _hashes(given: GenerationInput, request: Request, made: Sequence[str]) -> Sequence[str]:
    count = wanted(given, request)
    if request.hashes is not None:
        if len(request.hashes) != count:
            message = f"{count} generations take {count} hashes, here are {len(request.hashes)}"
            raise invalid("The request is not valid", Detail("/hashes", message))
        return request.hashes
    if given.use_custom_hashes:
        if len(given.hashes) < count:
            message = f"the collection has {len(given.hashes)} custom hashes, too few for {count} generations"
            raise invalid("The request is not valid", Detail("/generations", message))
        return given.hashes[:count]
    return made[:count]


def _check_steps(
    given: GenerationInput, definitions: Definitions, chosen: Mapping[str, Any], hashes: Sequence[str]
) -> None:
    if not given.steps:
        raise invalid("The collection has no steps, so there is nothing to generate", Detail("/data/steps", "is empty"))
    unknown = [step for step in given.steps if step.workflow not in definitions]
    if unknown:
        names = ", ".join(sorted({step.workflow for step in unknown})[:MAX_NAMES])
        raise Problem(
            "WORKFLOW_NOT_FOUND",
            f"There is no workflow named {names}",
            *(Detail(f"{step.pointer}/nodeName", f"there is no workflow {step.workflow!r}") for step in unknown),
        )
    possible = Possible.of(
        {
            variable.name: [chosen[variable.name]]
            if variable.name in chosen
            else [value for value, share in zip(variable.values, variable.shares, strict=True) if share]
            for variable in given.variables
        }
    )
    faults = [
        fault
        for step in given.steps
        for fault in payload_faults(
            definitions[step.workflow].fields, step.payload, possible, f"{step.pointer}/nodePayload"
        )
    ]
    if not faults:
        faults = list(expansion_faults(given, definitions, possible.values, chosen, hashes))
    if faults:
        raise invalid("The collection's steps can't be run", *faults[:MAX_DETAILS])


def generation_cost(given: GenerationInput, definitions: Definitions, chosen: Mapping[str, Any], hash_: str) -> int:
    """Micro-credits that one generation costs: the sum of its steps, over the payloads that they run with."""
    values = draw(given.variables, chosen, hash_)
    return sum(
        step_cost(definitions[step.workflow].cost, drawn_payload(step, definitions[step.workflow], values, hash_))
        for step in given.steps
    )


def plan_steps(
    given: GenerationInput, definitions: Definitions, values: Mapping[str, Any], gid: UUID, hash_: str
) -> list[PlannedStep]:
    """The steps of one generation, in the collection's order; the variables' `values` are those drawn for it."""
    steps: list[PlannedStep] = []
    for step in given.steps:
        definition = definitions[step.workflow]
        payload = job_payload(definition, drawn_payload(step, definition, values, hash_))
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
    """A step's payload with variables drawn, defaults filled in and a seed where one is wanted."""
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


def job_payload(definition: Definition, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the worker gets: the job's template with each field's value at its path."""
    built: dict[str, Any] = _copied(definition.template)
    for entry in definition.inputs:
        value = payload.get(entry.id)
        if value is None:
            value = entry.default
        if value is None:
            continue
        place = built
        for part in entry.path[:-1]:
            place = place.setdefault(part, {})
        place[entry.path[-1]] = value
    return built


def _copied(template: Any) -> Any:
    if isinstance(template, dict):
        return {key: _copied(value) for key, value in template.items()}
    return [_copied(value) for value in template] if isinstance(template, list) else template
