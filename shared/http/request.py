"""The request class of all services: decodes a JSON body once, straight into the handler's type, and strictly.

Litestar's own way decodes to plain objects and converts them leniently ("5" passes for 5), and loses the place of a
fault below a field that is itself called `data`.
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
    """UNSUPPORTED_MEDIA_TYPE unless a text in the body is UTF-8: nothing else is decoded, and nothing guessed."""
    charset = request.content_type[1].get("charset", "utf-8").strip("\"'").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        message = f"must be in UTF-8, not in {charset[:40]}"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"The body {message}", Detail("header:Content-Type", message))


class ApiRequest(Request[Principal, Any, State]):
    """`request.user` is the verified Principal (None on public routes)."""

    async def json(self) -> Any:
        """The body, decoded as the type of the handler's `data`; it must be sent as JSON."""
        kept: dict[str, Any] = self.scope  # type: ignore[assignment]  # an extra key of ours beside ASGI's own
        if _DECODED not in kept:
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
                kept[_DECODED] = decode_body(body, annotation)
            else:
                kept[_DECODED] = await asyncio.to_thread(decode_body, body, annotation)
        return kept[_DECODED]
