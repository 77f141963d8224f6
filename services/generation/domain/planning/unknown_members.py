"""Members of a collection's instructions that nothing reads: probably misspelt.

Instructions are documents of the platform's editor and are kept as they were sent, so these are warnings, not faults.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from services.generation.domain.planning.steps import Definitions
from services.generation.domain.workflow import Definition
from services.generation.domain.workflow.template import RESERVED
from shared.contracts.generation_input import GenerationInput
from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail, quote

OF_VARIABLE = ("name", "type", "value_type", "lock_value", "test_value", "value", "description")
OF_VALUE = ("values", "weights", "display_names")
"""Of a variable's value, if that is an object."""
OF_RANGE = ("min", "max", "step", "weights")
"""Of the value of a number without a list of values."""
MAX_COMPARED = 100
"""Characters of a name that are compared with the known ones."""


def unknown_members(generation_input: GenerationInput, definitions: Definitions) -> Iterator[Detail]:
    """A warning for each member of a variable or a payload that is not known; none for steps of unknown workflows."""
    for number, variable in enumerate(generation_input.document.get("variables") or []):
        pointer = f"/data/variables/{number}"
        yield from _unknown(variable, OF_VARIABLE, pointer, "a variable")
        if isinstance(variable.get("value"), dict):
            is_range = variable["type"] == "number" and "values" not in variable["value"]
            names = OF_RANGE if is_range else OF_VALUE
            yield from _unknown(variable["value"], names, f"{pointer}/value", "a variable's value")
    for step in generation_input.steps:
        definition = definitions.get(step.workflow)
        if definition is not None:
            yield from _unknown(step.payload, _inputs(definition), f"{step.pointer}/nodePayload", definition.name)


def _inputs(definition: Definition) -> Collection[str]:
    sources = {placement.source for placement in definition.template.placements}
    return {field.id for field in definition.fields} | sources | set(RESERVED)


def _unknown(members: Mapping[str, Any], names: Collection[str], pointer: str, subject: str) -> Iterator[Detail]:
    for name in members:
        if name not in names:
            close = difflib.get_close_matches(name[:MAX_COMPARED], names, 1)
            advice = f"; did you mean {close[0]}?" if close else ""
            yield Detail(f"{pointer}/{escape_token(name)}", f"{subject} has no {quote(name)}: it is ignored{advice}")
