"""The one form that paths and queries have (docs/reference/http.md), checked before anything else looks at them.

Converters are kinder than that: Python's `int` takes ` 1_3`, `+13` and `١٣`, its UUID takes braces, msgspec takes `1`
for true. Then one thing has many addresses, and caches, logs and rules at a proxy disagree on which one it is.
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

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_FORMS: Mapping[type, tuple[re.Pattern[str], str]] = {
    bool: (re.compile("true|false"), "must be true or false"),
    int: (WHOLE_NUMBER, "must be a whole number in decimal digits"),
    UUID: (CANONICAL_UUID, "must be a UUID such as 0192f7a8-6e3a-7c51-9a86-9f3f6a1c2b4d"),
}


def read_whole_number(text: str) -> int | None:
    """The whole number that a text is in its one form; None when it is none."""
    return int(text) if WHOLE_NUMBER.fullmatch(text) else None


def read_time(text: str) -> datetime | None:
    """The time that a text is as RFC 3339 writes it, with its zone, in UTC; None when it is none."""
    if not TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def strict_urls(app: ASGIApp) -> ASGIApp:
    """Litestar middleware for the whole app, behind routing."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            _check_path(scope)
            if scope["query_string"] and isinstance(scope["route_handler"], HTTPRouteHandler):
                _check_query(scope["query_string"], _parameters(scope["route_handler"]))
        await app(scope, receive, send)

    return checked


def check_escapes(scope: HTTPScope) -> None:
    """Before routing. Raises VALIDATION_FAILED for an address that isn't percent-encoded UTF-8 without U+0000.

    An encoded slash is refused too: here it would separate segments, and elsewhere it would not.
    """
    raw_path = scope.get("raw_path") or scope["path"].encode()
    for part, raw in (("path", raw_path), ("query", scope["query_string"])):
        if b"%" not in raw and raw.isascii():
            continue
        text = unquote_to_bytes(raw)
        if _BAD_ESCAPE.search(raw) or not _is_utf8(text):
            raise invalid(f"The {part} of the address is not percent-encoded UTF-8")
        if b"\0" in text:
            raise invalid(f"The {part} of the address contains the character U+0000")
        if part == "path" and text.count(b"/") > raw.count(b"/"):
            raise invalid("The path of the address contains an encoded slash")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_path(scope: HTTPScope) -> None:
    """Raises NOT_FOUND unless each id stands in its one form: what is written otherwise names nothing."""
    given: Mapping[str, Any] = scope.get("path_params") or {}
    if any(isinstance(value, int | UUID) for value in given.values()):
        written = scope["path"].rstrip("/").split("/")
        for place, segment in enumerate(str(scope["path_template"]).split("/")):
            value = given.get(segment[1:-1]) if segment.startswith("{") else None
            if isinstance(value, UUID) and not CANONICAL_UUID.fullmatch(written[place]):
                raise Problem("NOT_FOUND", "There is nothing at this address")
            if isinstance(value, int) and not WHOLE_NUMBER.fullmatch(written[place]):
                raise Problem("NOT_FOUND", "There is nothing at this address")


@lru_cache(maxsize=1024)
def _parameters(handler: BaseRouteHandler) -> Mapping[str, type | None]:
    """The query parameters of a handler by the names that clients use, with the type whose form is checked here."""
    found: dict[str, type | None] = {PARAMETER: None}
    for name, field in handler.parsed_fn_signature.parameters.items():
        if isinstance(field.kwarg_definition, QueryParameter):
            types = {field.annotation, *get_args(field.annotation)}
            found[field.kwarg_definition.query or name] = next((each for each in _FORMS if each in types), None)
    return found


def _check_query(raw: bytes, known: Mapping[str, type | None]) -> None:
    """Raises VALIDATION_FAILED for a parameter that is unknown, given twice, or not in its form."""
    seen: set[str] = set()
    for name, value in _pairs(raw):
        if name not in known:
            raise _refused(name, "is not known here")
        if name in seen:
            raise _refused(name, "is given more than once")
        seen.add(name)
        kind = known[name]
        if kind is not None and not _FORMS[kind][0].fullmatch(value):
            raise _refused(name, _FORMS[kind][1])


def _pairs(raw: bytes) -> Iterator[tuple[str, str]]:
    for pair in raw.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            yield unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()


def _refused(name: str, message: str) -> Problem:
    place = f"?{name if len(name) <= MAX_ECHO else name[:MAX_ECHO] + '…'}"
    return invalid(f"{place} {message}", Detail(place, message))
