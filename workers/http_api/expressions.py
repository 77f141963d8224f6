"""The expressions of `api.json`: jq over an answer, and comparisons such as `data.status != 'SUCCEEDED'`."""

import json
import re
from functools import lru_cache
from typing import Any

import jq
import quickjs

from workers.kit.faults import permanent

MAX_OUTPUTS = 100
MEMORY_BYTES, CPU_SECONDS = 16 * 1024 * 1024, 0.2

_OUTSIDE = re.compile(r"\$ENV|\$__prog_args|\b(env|input|inputs|debug|input_filename|get_search_list|import|include)\b")
"""What of jq reaches out of the answer: the environment, files and modules."""


def jq_values(expression: str, answer: Any) -> list[Any]:
    """All values that the expression finds, nulls left out. Raises StepFault API_EXPRESSION."""
    try:
        values = _compiled(expression).input_value(answer).all()
    except ValueError as error:
        raise permanent("API_EXPRESSION", f"The jq expression {expression!r} failed: {error}"[:500]) from None
    return [value for value in values[:MAX_OUTPUTS] if value is not None]


def jq_value(expression: str, answer: Any) -> Any:
    """The first value, or None. Raises StepFault API_EXPRESSION."""
    values = jq_values(expression, answer)
    return values[0] if values else None


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    if _OUTSIDE.search(expression):
        raise ValueError("it may use the answer only, no environment, files or modules")
    return jq.compile(expression)


def holds(expression: str, answer: Any) -> bool:
    """Whether a comparison over `data`, the answer, is true; a part that is missing makes it false.

    The platform writes these in JavaScript, so they run in a sandboxed JavaScript engine. Raises StepFault
    API_EXPRESSION for one that can't be read.
    """
    context = quickjs.Context()
    context.set_memory_limit(MEMORY_BYTES)
    context.set_time_limit(CPU_SECONDS)
    context.set("answer", json.dumps(answer))
    try:
        return bool(context.eval(f"(data => Boolean({expression}\n))(JSON.parse(answer))"))
    except quickjs.JSException as error:
        line = str(error).strip().partition("\n")[0]
        if line.startswith("TypeError"):  # a part of a path is missing
            return False
        raise permanent("API_EXPRESSION", f"The expression {expression!r} failed: {line}"[:500]) from None
