"""The quote of a job: the cost of each generation, and which steps make it up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.steps import Definitions, drawn_payload
from services.generation.domain.workflow.cost import InvalidCost, StepCost, step_cost
from shared.contracts.generation import RequestedGeneration, StepQuote, generation_id
from shared.contracts.generation_input import GenerationInput, Step
from shared.contracts.problem import Detail
from shared.contracts.sizes import KIB, encoded_size

MAX_BREAKDOWN = 32 * KIB
"""Bytes of the details in a breakdown; what exceeds them is one entry per step, without details."""

Groups = dict[tuple[int, int, bytes], int]
"""Number of generations by step, cost, and details as JSON."""


class Quoted(NamedTuple):
    """`faults`: of cost functions; if there are some, the costs are too low."""

    generations: list[RequestedGeneration]
    breakdown: list[StepQuote]
    faults: list[Detail]


def quote_generations(
    generation_input: GenerationInput,
    definitions: Definitions,
    chosen: Mapping[str, Any],
    hashes: Sequence[str],
    job_id: UUID,
) -> Quoted:
    """The generation of each hash at its cost. Each step is costed by the payload that it runs with."""
    faults: dict[str, Detail] = {}
    groups: Groups = {}
    generations: list[RequestedGeneration] = []
    constants = {name: definition.cost.is_constant for name, definition in definitions.items()}
    all_alike = all(constants[step.workflow] for step in generation_input.steps)
    for index, hash_ in enumerate(hashes):
        values = {} if all_alike else draw(generation_input.variables, chosen, hash_)
        total = 0
        for step in generation_input.steps:
            try:
                cost = _step_cost(step, definitions, values, hash_)
            except InvalidCost as error:
                message = f"the cost of {step.workflow} can't be told: {error}"
                faults.setdefault(step.pointer, Detail(f"{step.pointer}/nodePayload", message))
                continue
            total += cost.micro
            key = (step.id, cost.micro, msgspec.json.encode(cost.details, order="sorted"))
            groups[key] = groups.get(key, 0) + 1
        generations.append(RequestedGeneration(generation_id(job_id, index), hash_, total))
        if faults:
            break  # all steps have been costed once
    quotes = (
        StepQuote(step=step_id, generations=count, cost=cost * count, details=msgspec.json.decode(details))
        for (step_id, cost, details), count in groups.items()
    )
    return Quoted(generations, bounded(quotes, MAX_BREAKDOWN), list(faults.values()))


def _step_cost(step: Step, definitions: Definitions, values: Mapping[str, Any], hash_: str) -> StepCost:
    definition = definitions[step.workflow]
    if definition.cost.is_constant:
        return step_cost(definition.cost, {})
    return step_cost(definition.cost, drawn_payload(step, definition, values, hash_))


def bounded(breakdown: Iterable[StepQuote], room: int) -> list[StepQuote]:
    """The breakdown within `room` bytes; the others are one entry for each step, without details."""
    quotes: list[StepQuote] = []
    others: dict[int, StepQuote] = {}
    for quote in breakdown:
        room -= encoded_size(quote)
        if room >= 0:
            quotes.append(quote)
            continue
        other = others.get(quote.step, StepQuote(step=quote.step, generations=0, cost=0))
        others[quote.step] = StepQuote(
            step=quote.step, generations=other.generations + quote.generations, cost=other.cost + quote.cost
        )
    return [*quotes, *others.values()]
