"""Components: every step of every collection is one, with a platform-wide unique integer id.

New ids are arguments, so these functions are deterministic.
"""

from collections.abc import Collection, Sequence
from typing import Any

from shared.contracts.references import rewrite


def step_ids(data: dict[str, Any]) -> list[int]:
    return [step["id"] for step in data["steps"]]


def claimed_ids(data: Any) -> list[int]:
    """The step ids of data that is not validated yet: new ids differ from them, and are at most as many."""
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list):
        return []
    return [step["id"] for step in steps if isinstance(step, dict) and isinstance(step.get("id"), int)]


def with_components(data: dict[str, Any], new_ids: Sequence[int], existing: Collection[int] = ()) -> dict[str, Any]:
    """The instructions with a component for each step: its old id becomes `fromId`, and references follow.

    A step whose id is in `existing` keeps it. The others get `new_ids` in order: at least as many, all unused so far.
    `data` must have passed `instructions.check`. It is not modified; the result has all its other members.
    """
    replaced = [step_id for step_id in step_ids(data) if step_id not in existing]
    assert len(set(new_ids)) >= len(replaced), "each new step needs a component id"
    assert not set(new_ids) & set(step_ids(data)), "a new component's id must not be that of a step it replaces"
    renamed = dict(zip(replaced, new_ids, strict=False))
    mapping = {step_id: renamed.get(step_id, step_id) for step_id in step_ids(data)}
    return {**data, "steps": [_with_component(step, renamed, mapping) for step in data["steps"]]}


def _with_component(step: dict[str, Any], renamed: dict[int, int], mapping: dict[int, int]) -> dict[str, Any]:
    changed = dict(step)
    if step.get("nodePayload"):
        changed["nodePayload"] = rewrite(step["nodePayload"], mapping)
    if step["id"] in renamed:
        changed |= {"id": renamed[step["id"]], "fromId": step["id"]}
    return changed
