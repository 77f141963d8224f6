"""Conditional requests (RFC 9110, section 13). An ETag states a version and a representation: `"7"`, `"7-csv"`.

Each representation has its own tag, so that 304 never stands for a different one. In If-Match of a write, any of a
version's tags states the version that the change is based on.
"""

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.handlers import BaseRouteHandler

from shared.contracts.problem import Detail, Problem

T = TypeVar("T")

_VERSION = re.compile(r"(0|[1-9][0-9]{0,17})(?:-[a-z0-9-]+)?", re.ASCII)
_LIST = re.compile(r'\s*(?:W/)?"[!#-~]*"\s*(?:,\s*(?:(?:W/)?"[!#-~]*"\s*)?)*')
_TAG = re.compile(r'(W/)?"([!#-~]*)"')
_ONE_TAG = re.compile(r'"[!#-~]*"')
_PARAMETERS = frozenset({"precondition", "change"})
"""The parameters of handlers whose writes depend on If-Match and If-None-Match."""


def etag(version: int, variant: str = "") -> str:
    """The entity tag of a version's representation, in quotes. The main representation has no `variant`."""
    return f'"{version}-{variant}"' if variant else f'"{version}"'


class Precondition(msgspec.Struct, frozen=True):
    """The versions that If-Match and If-None-Match allow a write to change."""

    any_of: frozenset[int] | None = None
    """The versions in If-Match; None without the header, or for `*`."""
    none_of: frozenset[int] | None = frozenset()
    """The versions in If-None-Match; None for `*`, which is every version."""

    @property
    def is_conditional(self) -> bool:
        """Whether either header restricts the write."""
        return self.any_of is not None or self.none_of != frozenset()

    def expected(self, version: int) -> int | None:
        """The version that the write expects, given the current one; None if any version is accepted.

        Raises VERSION_CONFLICT if If-None-Match excludes the current version.
        """
        if self.none_of is None or version in self.none_of:
            message = "matches the current version"
            raise Problem("VERSION_CONFLICT", f"If-None-Match {message}", Detail("header:If-None-Match", message))
        if self.any_of is None:
            return None
        return version if version in self.any_of else max(self.any_of)


def is_conditional(handler: BaseRouteHandler) -> bool:
    """Whether If-Match and If-None-Match restrict this handler's write."""
    return not _PARAMETERS.isdisjoint(handler.parsed_fn_signature.parameters)


def is_one_tag(if_match: str) -> bool:
    """Whether If-Match is a single strong tag: of the commands based on its version, only one can succeed."""
    return _ONE_TAG.fullmatch(if_match) is not None


def precondition(request: Request[Any, Any, Any]) -> Precondition:
    """The precondition of a write.

    If-Match is compared strongly: weak tags and tags of another form match nothing. Raises VERSION_CONFLICT, answered
    as 412, if no tag is left, or if the header is not a list of tags.
    """
    if_match, if_none_match = _header(request, b"if-match"), _header(request, b"if-none-match")
    none_of: frozenset[int] | None = frozenset()
    if if_none_match is not None:
        none_of = None if if_none_match.strip() == "*" else _versions(if_none_match, weak=True)
    if if_match is None or if_match.strip() == "*":
        return Precondition(None, none_of)
    if versions := _versions(if_match, weak=False):
        return Precondition(versions, none_of)
    message = f'must be one or several ETags of earlier responses, such as "3", not {if_match[:80]}'
    raise Problem("VERSION_CONFLICT", f"If-Match {message}", Detail("header:If-Match", message))


def _versions(listed: str, *, weak: bool) -> frozenset[int]:
    tags = _TAG.findall(listed) if _LIST.fullmatch(listed) else []
    return frozenset(
        int(match[1]) for is_weak, tag in tags if (weak or not is_weak) and (match := _VERSION.fullmatch(tag))
    )


def is_not_modified(if_none_match: str | None, tag: str) -> bool:
    """Whether If-None-Match has this tag (weak comparison), so that the response is 304."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or any(f'"{value}"' == tag for _, value in _TAG.findall(if_none_match))


def fails_if_match(if_match: str | None, tag: str) -> bool:
    """Whether If-Match lacks this tag (strong comparison), so that the response is 412."""
    if if_match is None or if_match.strip() == "*":
        return False
    return not any(not weak and f'"{value}"' == tag for weak, value in _TAG.findall(if_match))


def check_if_match(request: Request[Any, Any, Any], tag: str) -> None:
    """Raises VERSION_CONFLICT (412) for a read whose If-Match lacks the tag of the response."""
    if fails_if_match(_header(request, b"if-match"), tag):
        message = f"does not match the current representation {tag}"
        raise Problem("VERSION_CONFLICT", f"If-Match {message}", Detail("header:If-Match", message))


def _header(request: Request[Any, Any, Any], name: bytes) -> str | None:
    """A header's value, from the raw headers: most requests don't need Litestar's object of all headers."""
    return next((value.decode("latin-1") for key, value in request.scope["headers"] if key == name), None)


def versioned(
    request: Request[Any, Any, Any], body: T, version: int, variant: str = "", *, status: int = 200, **options: Any
) -> Response[T | None]:
    """The body with its ETag, or 304 if the client has this representation. `options` go to the response.

    Raises VERSION_CONFLICT (412) for a read whose If-Match lacks the tag.
    """
    tag = etag(version, variant)
    headers = {"etag": tag, **options.pop("headers", {})}
    if status == 200:
        check_if_match(request, tag)
        if is_not_modified(_header(request, b"if-none-match"), tag):
            return Response(None, status_code=304, headers=headers)
    return Response(body, status_code=status, headers=headers, **options)
