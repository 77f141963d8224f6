"""`gen_in_data`: the GenerationInput that makes one artwork again."""

from collections.abc import Mapping
from typing import Any

from shared.contracts.generation import GenerationStarted, PlannedStep


def reproduction(data: Mapping[str, Any], chosen: Mapping[str, Any], started: GenerationStarted) -> dict[str, Any]:
    """The collection's data, narrowed to one generation; nothing of data that the job's user may not see.

    Its hash is the only one. A variable that the request set can take that value only. A drawn seed is written as a
    number, because it depends on the component's id, and a collection made from this data has other ids.
    """
    if not data:
        return {}
    planned = {step.component_id: step for step in started.steps}
    return {
        **data,
        "steps": [_with_seeds(step, planned.get(step["id"])) for step in data.get("steps") or []],
        "generations": {"generations": 1, "hashes": [started.hash], "use_custom_hashes": True},
        "variables": [
            _with_value(variable, chosen[variable["name"]]) if variable["name"] in chosen else variable
            for variable in data.get("variables") or []
        ],
    }


def _with_seeds(step: dict[str, Any], planned: PlannedStep | None) -> dict[str, Any]:
    payload = step.get("nodePayload") or {}
    if planned is None:
        return step
    seeds: Mapping[str, Any] | None = planned.seeds
    if seeds is None:  # planned by an early release: a drawn seed is at the top of its payload
        seed = planned.payload.get("seed")
        seeds = {} if seed is None or payload.get("seed") not in (None, "", -1) else {"seed": seed}
    return {**step, "nodePayload": {**payload, **seeds}} if seeds else step


def _with_value(variable: dict[str, Any], value: Any) -> dict[str, Any]:
    """The variable with this as its only possible value."""
    value_document = variable.get("value")
    if not isinstance(value_document, dict):
        return {**variable, "value": value}
    values, names = value_document.get("values") or [], value_document.get("display_names")
    name = names[values.index(value)] if names and value in values else str(value)
    return {**variable, "value": {"display_names": [name], "values": [value], "weights": [1]}}
