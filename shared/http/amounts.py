"""Amounts of credits in JSON: exact decimal numbers, which are never converted to a float."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.params import KwargDefinition
from litestar.serialization import default_serializer

Credits = Annotated[Decimal, KwargDefinition(schema_extra={"type": "number"}, description="Exact to 6 decimals")]
"""An amount as clients see it, in an `ExactResponse`."""

MaybeCredits = Annotated[
    Decimal | None,
    KwargDefinition(schema_extra={"type": ["number", "null"]}, description="Exact to 6 decimals, or null"),
]
"""An amount that may not be known."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


class ExactResponse(Response[Any]):
    """JSON in which a Decimal is an exact number: the `response_class` of routes that return amounts."""

    def render(self, content: Any, _media_type: str, _enc_hook: Callable[[Any], Any] = default_serializer) -> bytes:
        """As Litestar's, with amounts as exact numbers."""
        return _encode(content)
