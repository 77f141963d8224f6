"""The request class of all services: decodes a JSON body strictly, once, and straight into the handler's type.

Litestar itself decodes to plain objects and converts these leniently ("5" is accepted for 5), and loses the pointer of
a fault below a field that is called `data`.
"""

import asyncio
from typing import Any

from litestar import Request
from litestar.datastructures import State

from shared.contracts.problem import Detail, Problem
from shared.http.auth import Principal
from shared.http.json_body import OFF_LOOP, decode_body

_DECODED = "emprops.decoded"


def refuse_charset(request: Request[Any, Any, Any]) -> None:
    """Raises UNSUPPORTED_MEDIA_TYPE if Content-Type states another charset than UTF-8."""
    charset = request.content_type[1].get("charset", "utf-8").strip("\"'").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        message = f"must be in UTF-8, not in {charset[:40]}"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"The body {message}", Detail("header:Content-Type", message))


class ApiRequest(Request[Principal, Any, State]):
    """`request.user` is the verified Principal (None on public routes)."""

    async def json(self) -> Any:
        """The body as the type of the handler's `data`. Raises UNSUPPORTED_MEDIA_TYPE and VALIDATION_FAILED."""
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # an extra key beside ASGI's own
        if _DECODED not in scope:
            media_type = self.content_type[0]
            if media_type and media_type != "application/json" and not media_type.endswith("+json"):
                raise Problem(
                    "UNSUPPORTED_MEDIA_TYPE",
                    f"Send the body with Content-Type: application/json, not {media_type[:80]}",
                    Detail("header:Content-Type", "must be application/json"),
                )
            refuse_charset(self)
            field = self.route_handler.parsed_data_field
            annotation = field.annotation if field is not None else Any
            body = await self.body()
            if len(body) < OFF_LOOP:
                scope[_DECODED] = decode_body(body, annotation)
            else:
                scope[_DECODED] = await asyncio.to_thread(decode_body, body, annotation)
        return scope[_DECODED]
