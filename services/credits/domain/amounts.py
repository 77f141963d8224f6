"""Bounds of amounts, and decimal credits of the API as integers of 10^-6 credit (micro-credits)."""

from decimal import Decimal

from shared.contracts.amounts import MICRO
from shared.contracts.problem import Detail, invalid

MAX_CREDITS = 1_000_000_000
"""Largest amount of one grant, in credits."""

ACCOUNT_LIMIT = 8_000_000_000 * MICRO
"""Upper bound of the sum of an account's grants, in micro-credits. Doubles below 2^33 are less than 10^-6 apart, so
every balance keeps its six decimals in any client's JSON number."""

SMALLEST = Decimal("0.000001")
MAX_DIGITS = 64
"""Digits of an amount as it was sent; more are refused before the number is expanded."""


def to_micro_or_zero(amount: Decimal, pointer: str) -> int:
    """As `to_micro`, and 0 for an amount of 0."""
    return to_micro(amount, pointer) if amount else 0


def to_micro(amount: Decimal, pointer: str) -> int:
    """Micro-credits of an amount above 0 with at most 6 decimals. Raises VALIDATION_FAILED at `pointer`.

    Checks the bounds before it expands the number: `1e-999999999` is a short token and a gigabyte of digits.
    """
    if not amount.is_finite():
        raise invalid("The amount is not a number", Detail(pointer, "must be a decimal number, such as 12.5"))
    if amount <= 0:
        raise invalid("The amount is not above 0", Detail(pointer, "must be greater than 0"))
    if amount > MAX_CREDITS:
        raise invalid("The amount is too large", Detail(pointer, f"must be at most {MAX_CREDITS}"))
    too_many_decimals = invalid("The amount has too many decimals", Detail(pointer, "must have at most 6 decimals"))
    if amount < SMALLEST or len(amount.as_tuple().digits) > MAX_DIGITS:
        raise too_many_decimals
    numerator, denominator = amount.as_integer_ratio()
    micro, rest = divmod(numerator * MICRO, denominator)
    if rest:
        raise too_many_decimals
    return micro
