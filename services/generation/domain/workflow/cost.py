"""The cost of a step: an expression of its workflow, evaluated in exact micro-credits.

Quote and charge use this function with the same drawn payload, so that they can't differ.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from shared.contracts.amounts import MICRO

MAX_COST = 10**12
"""Micro-credits that one step may cost: a million credits."""


class InvalidCost(ValueError):  # noqa: N818 - the message is for the API's client
    """The expression can't be evaluated, or its value is out of range."""


def is_constant(expression: str) -> bool:
    """Whether the cost is independent of the payload, and so the same for all generations of a job."""
    try:
        Decimal(expression)
    except InvalidOperation:
        return False
    return True


def step_cost(expression: str, payload: Mapping[str, Any]) -> int:
    """The cost of one step in micro-credits, rounded up to a whole one.

    `expression` is a decimal number of credits, such as `0.25`. Raises InvalidCost for anything else, and for a number
    below 0 or above MAX_COST.
    """
    del payload  # the only expressions so far are constants
    try:
        value = Decimal(expression)
    except InvalidOperation:
        raise InvalidCost(f"{expression!r} is not a decimal number of credits") from None
    if not value.is_finite() or not 0 <= value * MICRO <= MAX_COST:
        raise InvalidCost(f"a cost must be from 0 to {MAX_COST // MICRO} credits, not {expression}")
    return int((value * MICRO).to_integral_value(ROUND_CEILING))
