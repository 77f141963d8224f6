"""From a request to a job. All faults are found here, before anything is recorded; the plan runs as it was quoted."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.payload.draws import choose, draw
from services.generation.domain.planning.payload_checks import PossibleValues, payload_faults
from services.generation.domain.planning.size_limits import size_faults
from services.generation.domain.planning.steps import Definitions, drawn_payload
from services.generation.domain.workflow.cost import is_constant, step_cost
from shared.contracts.generation import RequestedGeneration, generation_id
from shared.contracts.generation_input import MAX_DETAILS, MAX_NAMES, GenerationInput, count_faults, hash_faults
from shared.contracts.problem import Detail, Problem, invalid


class JobRequest(msgspec.Struct, frozen=True):
    """What a client asks for; None: as in the collection's own `generations`."""

    variables: dict[str, Any] = {}
    generations: int | None = None
    hashes: list[str] | None = None


class JobPlan(msgspec.Struct, frozen=True):
    """`chosen`: the variables that the request sets. `quoted`: micro-credits of all generations together."""

    chosen: dict[str, Any]
    generations: list[RequestedGeneration]
    quoted: int


def plan_job(
    generation_input: GenerationInput,
    definitions: Definitions,
    request: JobRequest,
    job_id: UUID,
    default_hashes: Sequence[str],
) -> JobPlan:
    """The job of a request. `default_hashes` are used if neither request nor collection has hashes.

    Raises WORKFLOW_NOT_FOUND if `definitions` lacks the workflow of a step, and VALIDATION_FAILED for any other fault.
    Pointers are into the request's body, or `/data/…` into the collection's.
    """
    hashes = _hashes(generation_input, request, default_hashes)
    chosen = choose(generation_input.variables, request.variables)
    _check_steps(generation_input, definitions, chosen, hashes)
    all_alike = all(is_constant(definitions[step.workflow].cost) for step in generation_input.steps)
    first_cost = generation_cost(generation_input, definitions, chosen, hashes[0])
    generations = [
        RequestedGeneration(
            gid=generation_id(job_id, index),
            hash=hash_,
            cost=first_cost if all_alike else generation_cost(generation_input, definitions, chosen, hash_),
        )
        for index, hash_ in enumerate(hashes)
    ]
    return JobPlan(chosen, generations, sum(generation.cost for generation in generations))


def generation_count(generation_input: GenerationInput, request: JobRequest) -> int:
    """How many generations the request is for: its count, else that of its hashes, else the collection's.

    Raises VALIDATION_FAILED.
    """
    faults = list(count_faults(request.generations, "/generations")) if request.generations is not None else []
    if request.hashes is not None:
        faults.extend(hash_faults(request.hashes, "/hashes"))
        if not request.hashes:
            faults.append(Detail("/hashes", "must have a hash per generation; leave it out to have hashes made"))
    if faults:
        raise invalid("The request is not valid", *faults[:MAX_DETAILS])
    if request.generations is not None:
        return request.generations
    return len(request.hashes) if request.hashes is not None else generation_input.generations


def generation_cost(
    generation_input: GenerationInput, definitions: Definitions, chosen: Mapping[str, Any], hash_: str
) -> int:
    """Micro-credits of one generation: the sum of its steps' costs, each with the payload that it runs with."""
    values = draw(generation_input.variables, chosen, hash_)
    return sum(
        step_cost(definitions[step.workflow].cost, drawn_payload(step, definitions[step.workflow], values, hash_))
        for step in generation_input.steps
    )


def _hashes(generation_input: GenerationInput, request: JobRequest, default_hashes: Sequence[str]) -> Sequence[str]:
    count = generation_count(generation_input, request)
    if request.hashes is not None:
        if len(request.hashes) != count:
            message = f"{count} generations need {count} hashes; there are {len(request.hashes)}"
            raise invalid("The request is not valid", Detail("/hashes", message))
        return request.hashes
    if generation_input.use_custom_hashes:
        hashes = generation_input.hashes
        if len(hashes) < count:
            message = f"the collection has {len(hashes)} custom hashes, too few for {count} generations"
            raise invalid("The request is not valid", Detail("/generations", message))
        return hashes[:count]
    return default_hashes[:count]


def _check_steps(
    generation_input: GenerationInput, definitions: Definitions, chosen: Mapping[str, Any], hashes: Sequence[str]
) -> None:
    if not generation_input.steps:
        raise invalid("The collection has no steps, so there is nothing to generate", Detail("/data/steps", "is empty"))
    unknown = [step for step in generation_input.steps if step.workflow not in definitions]
    if unknown:
        names = ", ".join(sorted({step.workflow for step in unknown})[:MAX_NAMES])
        raise Problem(
            "WORKFLOW_NOT_FOUND",
            f"There is no workflow named {names}",
            *(Detail(f"{step.pointer}/nodeName", f"there is no workflow {step.workflow!r}") for step in unknown),
        )
    possible = _possible_values(generation_input, chosen)
    faults = [
        fault
        for step in generation_input.steps
        for fault in payload_faults(
            definitions[step.workflow].fields, step.payload, possible, f"{step.pointer}/nodePayload"
        )
    ]
    if not faults:
        faults = list(size_faults(generation_input, definitions, possible.values, chosen, hashes))
    if faults:
        raise invalid("The collection's steps can't be run", *faults[:MAX_DETAILS])


def _possible_values(generation_input: GenerationInput, chosen: Mapping[str, Any]) -> PossibleValues:
    """Values of weight 0 are never drawn."""
    return PossibleValues.of(
        {
            variable.name: [chosen[variable.name]]
            if variable.name in chosen
            else [value for value, share in zip(variable.values, variable.shares, strict=True) if share]
            for variable in generation_input.variables
        }
    )
