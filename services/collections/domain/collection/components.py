"""Components: every step of every collection is one, with a platform-wide unique integer id.

Ids come in as arguments, so that what is decided here is the same whenever it is decided again.
"""

from collections.abc import Collection, Sequence
from typing import Any

from shared.contracts.references import rewrite


def step_ids(data: dict[str, Any]) -> list[int]:
    return [step["id"] for step in data["steps"]]


def claimed_ids(data: Any) -> list[int]:
    """The step ids of instructions that are not validated yet: bounds how many ids to fetch, and which to exclude."""
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list):
        return []
    return [step["id"] for step in steps if isinstance(step, dict) and isinstance(step.get("id"), int)]


def with_components(data: dict[str, Any], new_ids: Sequence[int], kept: Collection[int] = ()) -> dict[str, Any]:
    """The instructions with a component for each step: its old id becomes `fromId`, and references follow.

    `new_ids` are ids that no component has yet, one at least for each step that is not in `kept`; they are used in the
    steps' order. `data` must have passed `instructions.check`, and is left as it was; all else in it is kept.
    """
    replaced = [step_id for step_id in step_ids(data) if step_id not in kept]
    assert len(set(new_ids)) >= len(replaced), "each new step takes one component id of its own"
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
