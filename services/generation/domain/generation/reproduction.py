"""`gen_in_data`: the GenerationInput that makes one artwork again."""

from collections.abc import Mapping
from typing import Any

from shared.contracts.generation import GenerationStarted


def reproduction(data: Mapping[str, Any], chosen: Mapping[str, Any], started: GenerationStarted) -> dict[str, Any]:
    """The collection's data, narrowed to one generation.

    Its hash is the only one; variables that the request had set hold nothing but that value; seeds that were drawn
    stand as numbers, since they come from component ids, which a collection made from this will not share.
    """
    seeds = {step.component_id: step.payload.get("seed") for step in started.steps}
    return {
        **data,
        "steps": [_seeded(step, seeds.get(step["id"])) for step in data.get("steps") or []],
        "generations": {"generations": 1, "hashes": [started.hash], "use_custom_hashes": True},
        "variables": [
            _narrowed(variable, chosen[variable["name"]]) if variable["name"] in chosen else variable
            for variable in data.get("variables") or []
        ],
    }


def _seeded(step: dict[str, Any], seed: Any) -> dict[str, Any]:
    payload = step.get("nodePayload") or {}
    if seed is None or payload.get("seed") not in (None, "", -1):
        return step
    return {**step, "nodePayload": {**payload, "seed": seed}}


def _narrowed(variable: dict[str, Any], value: Any) -> dict[str, Any]:
    written = variable.get("value")
    if not isinstance(written, dict):
        return {**variable, "value": value}
    values, names = written.get("values") or [], written.get("display_names")
    name = names[values.index(value)] if names and value in values else str(value)
    return {**variable, "value": {"display_names": [name], "values": [value], "weights": [1]}}
