"""The studio's limits are those of the forms, which it does not read: a worker knows no service's files."""

import json
from pathlib import Path
from typing import Any

import pytest

from workers.studio.renderers import limits

WORKFLOWS = Path(__file__).parents[3] / "services" / "generation" / "workflows"


def constraints(workflow: str, field: str) -> dict[str, Any]:
    form = json.loads((WORKFLOWS / workflow / "form.json").read_text())
    return next(entry["constraints"] for entry in form["fields"] if entry["id"] == field)


@pytest.mark.parametrize("side", ["width", "height"])
def test_sides_of_a_sketch(side: str) -> None:
    allowed = constraints("sketch", side)
    assert (allowed["min"], allowed["max"]) == limits.SKETCH_SIDE


def test_lengths_of_texts() -> None:
    assert constraints("sketch", "prompt")["maxLength"] == limits.SKETCH_PROMPT
    assert constraints("caption", "prompt")["maxLength"] == limits.CAPTION_PROMPT
    assert constraints("frame", "title")["maxLength"] == limits.FRAME_TITLE
