"""Micro-credits, as which amounts are kept, and credits, as which they are shown."""

from decimal import Decimal

MICRO = 1_000_000
"""Micro-credits in a credit."""


def to_credits(micro: int) -> Decimal:
    """Exact to 6 decimals, without trailing zeros."""
    value = Decimal(micro) / MICRO
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def credits_text(micro: int) -> str:
    """A decimal number of credits, such as 1.25 or 0.000123."""
    return f"{to_credits(micro):f}"
