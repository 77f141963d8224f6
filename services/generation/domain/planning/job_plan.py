"""From a request to a job. All faults are found here, before anything is recorded; the plan runs as it was quoted."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.payload.draws import chosen_faults, chosen_values
from services.generation.domain.planning.costs import quote_generations
from services.generation.domain.planning.model_checks import AvailableModels, missing_models
from services.generation.domain.planning.payload_checks import PossibleValues, payload_faults
from services.generation.domain.planning.size_limits import size_faults
from services.generation.domain.planning.step_checks import limit_faults, step_faults, unknown_workflows
from services.generation.domain.planning.steps import Definitions
from shared.contracts.generation import RequestedGeneration, StepQuote
from shared.contracts.generation_input import MAX_DETAILS, GenerationInput, count_faults, hash_faults
from shared.contracts.problem import Detail, Problem, invalid


class JobRequest(msgspec.Struct, frozen=True):
    """What a client asks for; None: as in the collection's own `generations`.

    `max_queue_seconds`: how long the job may wait, at most `longest_queue`, which is the operator's limit.
    """

    variables: dict[str, Any] = {}
    generations: int | None = None
    hashes: list[str] | None = None
    max_queue_seconds: float | None = None
    longest_queue: float = inf


class JobPlan(msgspec.Struct, frozen=True):
    """`chosen`: the variables that the request sets. `quoted`: micro-credits of all generations together.

    `breakdown`: which steps make up the quote, with the details of their cost functions.
    """

    chosen: dict[str, Any]
    generations: list[RequestedGeneration]
    quoted: int
    breakdown: list[StepQuote] = []


def plan_job(
    generation_input: GenerationInput,
    definitions: Definitions,
    request: JobRequest,
    job_id: UUID,
    default_hashes: Sequence[str],
    available: AvailableModels = None,
) -> JobPlan:
    """The job of a request. `default_hashes` are used if neither request nor collection has hashes.

    `available`: see `model_checks.missing_models`. Raises, with all faults at once, WORKFLOW_NOT_FOUND if `definitions`
    lacks the workflow of a step, MODEL_UNAVAILABLE if nothing else is wrong, and VALIDATION_FAILED for any other fault.
    Pointers are into the request's body, or `/data/…` into the collection's.
    """
    hashes, chosen = _checked(generation_input, definitions, request, default_hashes)
    missing = list(islice(missing_models(generation_input, definitions, chosen, hashes, available), MAX_DETAILS))
    if missing:
        raise Problem("MODEL_UNAVAILABLE", "No connected worker has a model that the job needs", *missing)
    quoted = quote_generations(generation_input, definitions, chosen, hashes, job_id)
    if quoted.faults:
        raise invalid("The collection's steps can't be quoted", *quoted.faults[:MAX_DETAILS])
    total = sum(generation.cost for generation in quoted.generations)
    return JobPlan(chosen, quoted.generations, total, quoted.breakdown)


def generation_count(generation_input: GenerationInput, request: JobRequest) -> int:
    """How many generations the request is for: its count, else that of its hashes, else the collection's.

    A count that is not valid is that of the collection: `plan_job` raises for it.
    """
    if request.generations is not None:
        return request.generations if not any(count_faults(request.generations, "")) else generation_input.generations
    if request.hashes is not None and not any(hash_faults(request.hashes, "")):
        return len(request.hashes)
    return generation_input.generations


def _checked(
    generation_input: GenerationInput, definitions: Definitions, request: JobRequest, default_hashes: Sequence[str]
) -> tuple[Sequence[str], dict[str, Any]]:
    """The job's hashes and chosen variables. Raises Problem with all faults of the request and the steps."""
    faults = list(_request_faults(request))
    hashes: Sequence[str] = ()
    if not faults:
        count = generation_count(generation_input, request)
        faults.extend(limit_faults(generation_input, definitions, count))
        hashes, hash_fault = _hashes(generation_input, request, default_hashes, count)
        faults.extend(hash_fault)
    faults.extend(chosen_faults(generation_input.variables, request.variables))
    chosen = chosen_values(generation_input.variables, request.variables)
    if not generation_input.steps:
        faults.append(Detail("/data/steps", "is empty: a collection without steps has nothing to generate"))
    unknown = list(unknown_workflows(generation_input, definitions))
    possible = _possible_values(generation_input, chosen)
    for step in generation_input.steps:
        definition = definitions.get(step.workflow)
        if definition is not None:
            faults.extend(payload_faults(definition.fields, step.payload, possible, f"{step.pointer}/nodePayload"))
    faults.extend(step_faults(generation_input, definitions))
    if unknown:
        raise Problem("WORKFLOW_NOT_FOUND", "There is no such workflow", *[*unknown, *faults][:MAX_DETAILS])
    if not faults:
        faults = list(size_faults(generation_input, definitions, possible.values, chosen, hashes))
    if faults:
        raise invalid("The request can't be carried out", *faults[:MAX_DETAILS])
    return hashes, chosen


def _request_faults(request: JobRequest) -> Iterator[Detail]:
    if request.generations is not None:
        yield from count_faults(request.generations, "/generations")
    if request.hashes is not None:
        yield from hash_faults(request.hashes, "/hashes")
        if not request.hashes:
            yield Detail("/hashes", "must have a hash per generation; leave it out to have hashes made")
    if request.max_queue_seconds is not None and not 1 <= request.max_queue_seconds <= request.longest_queue:
        yield Detail("/max_queue_seconds", f"must be between 1 and {request.longest_queue:.15g}")


def _hashes(
    generation_input: GenerationInput, request: JobRequest, default_hashes: Sequence[str], count: int
) -> tuple[Sequence[str], list[Detail]]:
    if request.hashes is not None:
        if len(request.hashes) != count:
            message = f"{count} generations need {count} hashes; there are {len(request.hashes)}"
            return (), [Detail("/hashes", message)]
        return request.hashes, []
    if generation_input.use_custom_hashes:
        hashes = generation_input.hashes
        if len(hashes) < count:
            message = f"the collection has {len(hashes)} custom hashes, too few for {count} generations"
            return (), [Detail("/generations", message)]
        return hashes[:count], []
    return default_hashes[:count], []


def _possible_values(generation_input: GenerationInput, chosen: Mapping[str, Any]) -> PossibleValues:
    """Values of weight 0 are never drawn."""
    return PossibleValues.of(
        {
            variable.name: [chosen[variable.name]]
            if variable.name in chosen
            else [*variable.values]
            if variable.shares is None
            else [value for value, share in zip(variable.values, variable.shares, strict=True) if share]
            for variable in generation_input.variables
        }
    )
