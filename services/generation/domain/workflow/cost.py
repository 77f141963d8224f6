"""What a step costs: a declarative expression of its workflow, in exact micro-credits.

The same function gives the quote and the charge, from the same drawn payload, so the two can't differ.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from shared.contracts.amounts import MICRO

MAX_COST = 10**12
"""Micro-credits that one step may cost: a million credits."""


class BadCost(ValueError):  # noqa: N818 - the sentence it carries is the message
    """The expression can't be evaluated."""


def is_constant(expression: str) -> bool:
    """Whether the payload makes no difference, so that the generations of a job all cost the same."""
    try:
        Decimal(expression)
    except InvalidOperation:
        return False
    return True


def step_cost(expression: str, payload: Mapping[str, Any]) -> int:
    """The cost of one step in micro-credits, rounded up to a whole one.

    `expression` is a decimal number in credits, such as `0.25`. Raises BadCost for anything else.
    """
    del payload  # constants need none of it; expressions over it come with the workflows that have them
    try:
        credits_ = Decimal(expression)
    except InvalidOperation:
        raise BadCost(f"{expression!r} is not a decimal number of credits") from None
    if not credits_.is_finite() or not 0 <= credits_ * MICRO <= MAX_COST:
        raise BadCost(f"a cost lies between 0 and {MAX_COST // MICRO} credits, not {expression}")
    return int((credits_ * MICRO).to_integral_value(ROUND_CEILING))
