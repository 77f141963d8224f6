"""A step's outputs as clients see them, in a job and in its events."""

from collections.abc import Iterable
from typing import Any

from shared.contracts.generation import Output, StepOutputs


def output_view(step_id: int, output: Output) -> dict[str, Any]:
    """One output. Only an output of kind `json` has the member `json`."""
    view = {
        "step_id": step_id,
        "kind": output.kind,
        "asset_id": output.asset_id,
        "url": output.url,
        "mime_type": output.mime_type,
        "text": output.text,
    }
    return {**view, "json": output.json} if output.kind == "json" else view


def outputs_view(steps: Iterable[StepOutputs]) -> list[dict[str, Any]]:
    return [output_view(step.step_id, output) for step in steps for output in step.outputs]


def is_image(view: dict[str, Any]) -> bool:
    return view["kind"] == "asset" and (view["mime_type"] or "").startswith("image/")
