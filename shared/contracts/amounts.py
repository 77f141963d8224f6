"""Amounts of credits: integers of 10^-6 credit (micro-credits) inside, decimals for people and clients."""

from decimal import Decimal

MICRO = 1_000_000
"""Micro-credits in a credit."""


def to_credits(micro: int) -> Decimal:
    """The exact decimal of an amount in micro-credits, without trailing zeros and never with an exponent."""
    whole, fraction = divmod(abs(micro), MICRO)
    sign = "-" if micro < 0 else ""
    return Decimal(f"{sign}{whole}.{fraction:06d}".rstrip("0").rstrip("."))


def credits_text(micro: int) -> str:
    """A decimal number of credits, such as 1.25 or 0.000123."""
    return f"{to_credits(micro):f}"
