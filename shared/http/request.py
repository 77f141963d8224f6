"""The request class of all services: decodes a JSON body once, straight into the handler's type, and strictly.

Litestar's own way decodes to plain objects and converts them leniently ("5" passes for 5), and loses the place of a
fault below a field that is itself called `data`.
"""

import re
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.serialization import default_deserializer
from litestar.types import Empty

from shared.contracts.problem import Detail, Problem
from shared.http.auth import Principal
from shared.http.problems import invalid_body

MAX_DEPTH = 100
"""Levels of arrays and objects in a body. What passes here can be walked recursively by anyone."""

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _malformed(why: str) -> Problem:
    return Problem("VALIDATION_FAILED", f"The body is not valid JSON: {why}", Detail("", why))


def is_too_deep(body: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON nests deeper than `limit`: whether so many rounds of removing the innermost pairs leave some over.

    All steps run at the speed of C, so a megabyte of brackets costs milliseconds. What isn't JSON is not too deep.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    left = _STRING.sub(b"", body).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(limit):
        left = left.replace(b"[]", b"")
    return b"[]" in left


@lru_cache(maxsize=1024)
def _decoder(annotation: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(annotation, dec_hook=default_deserializer)


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


def decode_body(body: bytes, annotation: Any) -> Any:
    """The body as the given type; VALIDATION_FAILED with the JSON pointer of what is wrong.

    The character U+0000 is refused wherever it stands: PostgreSQL's text and jsonb can't hold it.
    """
    if is_too_deep(body):
        raise _malformed(f"it nests deeper than {MAX_DEPTH} levels")
    try:
        value = _decoder(annotation).decode(body)
        if b"\\u0000" in body and _has_nul(msgspec.json.decode(body)):
            raise _malformed("it contains the character U+0000")
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except msgspec.DecodeError as error:
        raise _malformed(str(error).removeprefix("JSON is malformed: ")) from error
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8") from error
    except RecursionError as error:
        raise _malformed("it nests too deeply") from error
    return value


class ApiRequest(Request[Principal, Any, State]):
    """`request.user` is the verified Principal (None on public routes)."""

    async def json(self) -> Any:
        """The body, decoded as the type of the handler's `data`; it must be sent as JSON."""
        if self._json is Empty:
            media_type = self.content_type[0]
            if media_type and media_type != "application/json" and not media_type.endswith("+json"):
                raise Problem(
                    "UNSUPPORTED_MEDIA_TYPE",
                    f"Send the body with Content-Type: application/json, not {media_type[:80]}",
                )
            field = self.route_handler.parsed_data_field
            self._json = decode_body(await self.body(), field.annotation if field is not None else Any)
        return self._json
