"""The cost of a step: a constant of its workflow, or what its cost function computes, in exact micro-credits.

Quote and charge use `step_cost` with the same drawn payload, so that they can't differ.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

import msgspec

from shared.contracts.amounts import MICRO

MAX_COST = 10**12
"""Micro-credits that one step may cost: a million credits."""


class InvalidCost(ValueError):  # noqa: N818 - the message is for the API's client
    """The cost can't be evaluated, or its value is out of range."""


class Price(msgspec.Struct, frozen=True):
    """What a cost function returned: credits, at least 0, and what it says about them."""

    credits: Decimal
    details: Any = None


Compute = Callable[[Mapping[str, Any]], Price]
"""A cost function: from a step's payload to its price. Raises InvalidCost."""
CostFunctions = Callable[[str], Compute]
"""Makes a cost function of its JavaScript source. Raises InvalidCost for a source that defines none."""


class Cost(msgspec.Struct, frozen=True):
    """`micro`: a constant, which is the same for all generations of a job; else `compute`."""

    micro: int = 0
    compute: Compute | None = None

    @property
    def is_constant(self) -> bool:
        return self.compute is None


class StepCost(msgspec.Struct, frozen=True):
    """`micro`: micro-credits. `details`: those of the cost function."""

    micro: int
    details: Any = None


def constant_cost(expression: str) -> Cost:
    """`expression`: a decimal number of credits, such as `0.25`. Raises InvalidCost for anything else."""
    try:
        value = Decimal(expression)
    except InvalidOperation:
        raise InvalidCost(f"{expression!r} is not a decimal number of credits") from None
    return Cost(micro=_micro(value))


def step_cost(cost: Cost, payload: Mapping[str, Any]) -> StepCost:
    """The cost of one step, rounded up to a whole micro-credit. `payload`: the step's, with its variables drawn.

    Raises InvalidCost if the function fails, or for a cost above MAX_COST.
    """
    if cost.compute is None:
        return StepCost(cost.micro)
    price = cost.compute(payload)
    return StepCost(_micro(price.credits), price.details)


def _micro(value: Decimal) -> int:
    if not value.is_finite() or not 0 <= value * MICRO <= MAX_COST:
        raise InvalidCost(f"a cost must be from 0 to {MAX_COST // MICRO} credits, not {value}")
    return int((value * MICRO).to_integral_value(ROUND_CEILING))
