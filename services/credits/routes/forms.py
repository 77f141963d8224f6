"""Types of values in the bodies of several operations."""

from decimal import Decimal
from typing import Annotated

from litestar.params import KwargDefinition
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=200)]

DESCRIPTION = "Above 0, with at most 6 decimals; a number or a string, read digit by digit"
EXAMPLES = [12.5, "0.000123"]

Amount = Annotated[
    Decimal,
    KwargDefinition(schema_extra={"type": ["number", "string"], "examples": EXAMPLES}, description=DESCRIPTION),
]
"""Credits; `to_micro` checks the bounds."""

OptionalAmount = Annotated[
    Decimal | None,
    KwargDefinition(schema_extra={"type": ["number", "string", "null"], "examples": EXAMPLES}, description=DESCRIPTION),
]
"""Credits, or none. (Its own type: annotations with a dict are not members of unions.)"""
