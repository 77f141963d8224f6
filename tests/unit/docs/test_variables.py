"""The reference of variables: each example is accepted and draws, and every kind has one."""

import json
import re
from typing import Any

import pytest

from services.generation.domain.payload.draws import draw
from shared.contracts.generation_input import read
from tests.support.running_set import ROOT

EXAMPLES: list[Any] = [
    json.loads(block)
    for block in re.findall(r"```json\n(.*?)```", (ROOT / "docs/reference/variables.md").read_text(), re.DOTALL)
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_an_example_is_accepted_and_drawn(example: Any) -> None:
    variables = read({"version": "v2", "steps": [], "variables": [example]}).variables
    draws = [draw(variables, {}, str(number))[example["name"]] for number in range(50)]
    assert set(draws) <= set(variables[0].values)


def test_every_kind_has_an_example() -> None:
    assert {example["type"] for example in EXAMPLES} == {"pick", "text", "number"}
    assert {frozenset(example["value"]) for example in EXAMPLES if isinstance(example["value"], dict)} >= {
        frozenset({"min", "max", "step"}),
        frozenset({"min", "max", "weights"}),
        frozenset({"values", "weights"}),
    }
