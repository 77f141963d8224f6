"""The forms of a token's number in the addresses of the API."""

import re

from shared.contracts.problem import Detail, invalid

_HEX = re.compile(r"[0-9a-f]{64}")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,17}")


def token_number(text: str) -> int:
    """Parses a token number: decimal, or ERC-1155's 64 lowercase hexadecimal digits.

    Raises VALIDATION_FAILED at `path:number`.
    """
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _DECIMAL.fullmatch(text):
        return int(text)
    message = "must be a decimal number without leading zeros, or 64 lowercase hexadecimal digits"
    raise invalid(f"{text[:80]!r} is not a token number", Detail("path:number", message))
