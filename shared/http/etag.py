"""Conditional requests (RFC 9110, section 13): the ETag of a resource is the version of its event stream, `"7"`."""

import re
from typing import Any, TypeVar

from litestar import Request, Response

from shared.contracts.problem import Detail, Problem

T = TypeVar("T")

_STRONG = re.compile(r'\s*"(\d{1,18})"\s*$')
_ANY = re.compile(r'(?:W/)?"([^"]*)"')


def etag(version: int) -> str:
    """The entity tag of a version, with its quotes."""
    return f'"{version}"'


def expected_version(request: Request[Any, Any, Any]) -> int | None:
    """The version that If-Match asks for; None without the header, or with `*`.

    A value that none of our tags can equal (weak, several, unknown) is a stale one: VERSION_CONFLICT, answered as 412.
    """
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    if match := _STRONG.match(given):
        return int(match[1])
    message = f'must be one ETag as it was answered, such as "3", not {given[:80]}'
    raise Problem("VERSION_CONFLICT", f"If-Match {message}", Detail("header:If-Match", message))


def is_unmodified(request: Request[Any, Any, Any], version: int) -> bool:
    """Whether If-None-Match names this version, so that 304 says it all."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    return given.strip() == "*" or str(version) in _ANY.findall(given)


def versioned(request: Request[Any, Any, Any], body: T, version: int, *, status: int = 200) -> Response[T | None]:
    """The body with its ETag, or 304 without a body when the client has it already."""
    headers = {"etag": etag(version)}
    if status == 200 and is_unmodified(request, version):
        return Response(None, status_code=304, headers=headers)
    return Response(body, status_code=status, headers=headers)
