"""Accepts paths and query parameters in one form only (docs/reference/http.md).

Converters accept more: Python's `int` takes ` 1_3`, `+13` and `١٣`, its UUID takes braces, msgspec takes `1` for true.
Then one resource would have many URLs, and caches, logs and proxy rules would treat them as different ones.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, get_args
from urllib.parse import unquote_to_bytes
from uuid import UUID

from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from shared.contracts.problem import Detail, Problem, invalid
from shared.http.positions import PARAMETER

WHOLE_NUMBER = re.compile(r"-?[1-9][0-9]{0,18}|0", re.ASCII)
CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)
MAX_ECHO = 80
"""Characters of an unknown parameter's name that an error repeats."""

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_FORMS: Mapping[type, tuple[re.Pattern[str], str]] = {
    bool: (re.compile("true|false"), "must be true or false"),
    int: (WHOLE_NUMBER, "must be a whole number in decimal digits"),
    datetime: (TIME, "must be a time such as 2026-12-01T12:00:00Z; the + of an offset is %2B in a query"),
    UUID: (CANONICAL_UUID, "must be a UUID such as 0192f7a8-6e3a-7c51-9a86-9f3f6a1c2b4d"),
}


def read_whole_number(text: str) -> int | None:
    """The whole number that the text is: ASCII digits, without sign `+`, leading zeros or separators. Else None."""
    return int(text) if WHOLE_NUMBER.fullmatch(text) else None


def read_time(text: str) -> datetime | None:
    """The time that the text is in RFC 3339's form with a UTC offset; the result is in UTC. Else None."""
    if not TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def strict_urls(app: ASGIApp) -> ASGIApp:
    """Litestar middleware, after routing. Raises NOT_FOUND and VALIDATION_FAILED."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            _check_path(scope)
            if scope["query_string"] and isinstance(scope["route_handler"], HTTPRouteHandler):
                _check_query(scope["query_string"], _parameters(scope["route_handler"]))
        await app(scope, receive, send)

    return checked


def check_escapes(scope: HTTPScope) -> None:
    """Checks a URL before routing. Raises VALIDATION_FAILED unless it is percent-encoded UTF-8 without U+0000.

    An encoded slash is refused too: this router would separate segments at it, and others would not.
    """
    raw_path = scope.get("raw_path") or scope["path"].encode()
    for part, raw in (("path", raw_path), ("query", scope["query_string"])):
        if b"%" not in raw and raw.isascii():
            continue
        text = unquote_to_bytes(raw)
        if _BAD_ESCAPE.search(raw) or not _is_utf8(text):
            raise invalid(f"The {part} of the URL is not percent-encoded UTF-8")
        if b"\0" in text:
            raise invalid(f"The {part} of the URL contains the character U+0000")
        if part == "path" and text.count(b"/") > raw.count(b"/"):
            raise invalid("The path of the URL contains an encoded slash (%2F)")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_path(scope: HTTPScope) -> None:
    """Raises NOT_FOUND for an id in another form than its only one."""
    parameters: Mapping[str, Any] = scope.get("path_params") or {}
    if any(isinstance(value, int | UUID) for value in parameters.values()):
        segments = scope["path"].rstrip("/").split("/")
        for index, placeholder in enumerate(str(scope["path_template"]).split("/")):
            value = parameters.get(placeholder[1:-1]) if placeholder.startswith("{") else None
            if isinstance(value, UUID) and not CANONICAL_UUID.fullmatch(segments[index]):
                raise Problem("NOT_FOUND", "There is nothing at this address")
            if isinstance(value, int) and not WHOLE_NUMBER.fullmatch(segments[index]):
                raise Problem("NOT_FOUND", "There is nothing at this address")


@lru_cache(maxsize=1024)
def _parameters(handler: BaseRouteHandler) -> Mapping[str, type | None]:
    """A handler's query parameters by the names that clients use, with the type whose form is checked, or None."""
    parameters: dict[str, type | None] = {PARAMETER: None}
    for name, field in handler.parsed_fn_signature.parameters.items():
        if isinstance(field.kwarg_definition, QueryParameter):
            types = {field.annotation, *get_args(field.annotation)}
            parameters[field.kwarg_definition.name or name] = next((kind for kind in _FORMS if kind in types), None)
    return parameters


def _check_query(raw: bytes, parameters: Mapping[str, type | None]) -> None:
    """Raises VALIDATION_FAILED for a parameter that is unknown, repeated, or not in its form."""
    names: set[str] = set()
    for name, value in _pairs(raw):
        if name not in parameters:
            raise _invalid_parameter(name, "is not a parameter of this operation")
        if name in names:
            raise _invalid_parameter(name, "is given more than once")
        names.add(name)
        kind = parameters[name]
        if kind is not None and not _FORMS[kind][0].fullmatch(value):
            raise _invalid_parameter(name, _FORMS[kind][1])


def _pairs(raw: bytes) -> Iterator[tuple[str, str]]:
    for pair in raw.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            yield unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()


def _invalid_parameter(name: str, message: str) -> Problem:
    place = f"?{name if len(name) <= MAX_ECHO else name[:MAX_ECHO] + '…'}"
    return invalid(f"{place} {message}", Detail(place, message))
