"""`gen_in_data`: the GenerationInput that makes one artwork again."""

from collections.abc import Mapping
from typing import Any

from shared.contracts.generation import GenerationStarted


def reproduction(data: Mapping[str, Any], chosen: Mapping[str, Any], started: GenerationStarted) -> dict[str, Any]:
    """The collection's data, narrowed to one generation.

    Its hash is the only one. A variable that the request set can take that value only. A drawn seed is written as a
    number, because it depends on the component's id, and a collection made from this data has other ids.
    """
    seeds = {step.component_id: step.payload.get("seed") for step in started.steps}
    return {
        **data,
        "steps": [_with_seed(step, seeds.get(step["id"])) for step in data.get("steps") or []],
        "generations": {"generations": 1, "hashes": [started.hash], "use_custom_hashes": True},
        "variables": [
            _with_value(variable, chosen[variable["name"]]) if variable["name"] in chosen else variable
            for variable in data.get("variables") or []
        ],
    }


def _with_seed(step: dict[str, Any], seed: Any) -> dict[str, Any]:
    payload = step.get("nodePayload") or {}
    if seed is None or payload.get("seed") not in (None, "", -1):
        return step
    return {**step, "nodePayload": {**payload, "seed": seed}}


def _with_value(variable: dict[str, Any], value: Any) -> dict[str, Any]:
    """The variable with this as its only possible value."""
    written = variable.get("value")
    if not isinstance(written, dict):
        return {**variable, "value": value}
    values, names = written.get("values") or [], written.get("display_names")
    name = names[values.index(value)] if names and value in values else str(value)
    return {**variable, "value": {"display_names": [name], "values": [value], "weights": [1]}}
