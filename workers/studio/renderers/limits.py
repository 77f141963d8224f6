"""What a field may be, as its workflow's form says: the engine checks a job against the same file before it is paid."""

import json
from functools import cache
from pathlib import Path
from typing import Any

WORKFLOWS = Path(__file__).parents[3] / "services" / "generation" / "workflows"


@cache
def _constraints(workflow: str, field: str) -> dict[str, Any]:
    form = json.loads((WORKFLOWS / workflow / "form.json").read_text())
    found: dict[str, Any] = next(each["constraints"] for each in form["fields"] if each["id"] == field)
    return found


def longest(workflow: str, field: str) -> int:
    """Characters of a text."""
    return int(_constraints(workflow, field)["maxLength"])


def bounds(workflow: str, field: str) -> tuple[int, int]:
    """The least and the greatest whole number."""
    found = _constraints(workflow, field)
    return int(found["min"]), int(found["max"])
