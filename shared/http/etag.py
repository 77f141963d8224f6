"""Conditional requests (RFC 9110, section 13): an ETag names a version, and which form of it: `"7"`, `"7-csv"`.

Each representation has a tag of its own, so that 304 never leaves a client with another one. If-Match asks about the
resource: any of its tags names the version that a change is based on.
"""

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response

from shared.contracts.problem import Detail, Problem

T = TypeVar("T")

_VERSION = re.compile(r"(0|[1-9][0-9]{0,17})(?:-[a-z0-9-]+)?", re.ASCII)
_LIST = re.compile(r'\s*(?:W/)?"[!#-~]*"\s*(?:,\s*(?:(?:W/)?"[!#-~]*"\s*)?)*')
_TAG = re.compile(r'(W/)?"([!#-~]*)"')


def etag(version: int, variant: str = "") -> str:
    """The entity tag of a version's representation, with its quotes. The plain one has no `variant`."""
    return f'"{version}-{variant}"' if variant else f'"{version}"'


class Precondition(msgspec.Struct, frozen=True):
    """What a write asks of the version that it meets. Without either header, nothing."""

    any_of: frozenset[int] | None = None
    """The versions that If-Match names; None without it, or with `*`."""
    none_of: frozenset[int] | None = frozenset()
    """The versions that If-None-Match names; None for `*`, which is every one."""

    @property
    def asks(self) -> bool:
        """Whether it asks anything."""
        return self.any_of is not None or self.none_of != frozenset()

    def expected(self, version: int) -> int | None:
        """The version that the write expects to meet when it meets this one; None when any will do.

        Raises VERSION_CONFLICT when it must not meet what is there.
        """
        if self.none_of is None or version in self.none_of:
            message = "names what is there"
            raise Problem("VERSION_CONFLICT", f"If-None-Match {message}", Detail("header:If-None-Match", message))
        if self.any_of is None:
            return None
        return version if version in self.any_of else max(self.any_of)


def precondition(request: Request[Any, Any, Any]) -> Precondition:
    """The precondition of a write.

    If-Match compares strongly: weak tags, and those that are none of ours, match nothing. When none is left, it is a
    stale one: VERSION_CONFLICT, answered as 412. So is what is not a list of tags at all.
    """
    if_match, if_none_match = _header(request, b"if-match"), _header(request, b"if-none-match")
    none_of: frozenset[int] | None = frozenset()
    if if_none_match is not None:
        none_of = None if if_none_match.strip() == "*" else _versions(if_none_match, weak=True)
    if if_match is None or if_match.strip() == "*":
        return Precondition(None, none_of)
    if versions := _versions(if_match, weak=False):
        return Precondition(versions, none_of)
    message = f'must be an ETag as it was answered, such as "3", or several, not {if_match[:80]}'
    raise Problem("VERSION_CONFLICT", f"If-Match {message}", Detail("header:If-Match", message))


def _versions(listed: str, *, weak: bool) -> frozenset[int]:
    tags = _TAG.findall(listed) if _LIST.fullmatch(listed) else []
    return frozenset(
        int(found[1]) for is_weak, tag in tags if (weak or not is_weak) and (found := _VERSION.fullmatch(tag))
    )


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether If-None-Match names this representation, so that 304 says it all: weak comparison."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or any(f'"{known}"' == tag for _, known in _TAG.findall(if_none_match))


def is_other(if_match: str | None, tag: str) -> bool:
    """Whether If-Match asks for another representation than this one, so that 412 says it all: strong comparison."""
    if if_match is None or if_match.strip() == "*":
        return False
    return not any(not weak and f'"{wanted}"' == tag for weak, wanted in _TAG.findall(if_match))


def refuse_other(request: Request[Any, Any, Any], tag: str) -> None:
    """VERSION_CONFLICT (412) for a read whose If-Match is not of what would be answered."""
    given = _header(request, b"if-match")
    if is_other(given, tag):
        message = f"names another representation than {tag}, which is there"
        raise Problem("VERSION_CONFLICT", f"If-Match {message}", Detail("header:If-Match", message))


def _header(request: Request[Any, Any, Any], wanted: bytes) -> str | None:
    """Without Litestar's object of all headers: most requests have neither, and need it for nothing else."""
    return next((value.decode("latin-1") for name, value in request.scope["headers"] if name == wanted), None)


def versioned(
    request: Request[Any, Any, Any], body: T, version: int, variant: str = "", *, status: int = 200, **options: Any
) -> Response[T | None]:
    """The body with its ETag, or 304 without a body when the client has it already. `options` are the response's."""
    tag = etag(version, variant)
    headers = {"etag": tag, **options.pop("headers", {})}
    if status == 200:
        refuse_other(request, tag)
        if is_known(_header(request, b"if-none-match"), tag):
            return Response(None, status_code=304, headers=headers)
    return Response(body, status_code=status, headers=headers, **options)
