"""Errors in a client's input or request, with a code for programs and a message for people."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MAX_ANSWER = 10_000
"""Bytes, as JSON, of the details of one error; further details are left out, so that a response is below 16 KB."""
MAX_TEXT = 1_000
"""Bytes, as JSON, of a message or a pointer: both may quote input of any length."""


class Detail(msgspec.Struct, frozen=True):
    """One fault; `pointer` is the JSON pointer (RFC 6901) of the wrong value."""

    pointer: str
    message: str


class Problem(Exception):  # noqa: N818 - it is the word of RFC 9457, and of the API
    """Raised by deciders and handlers; the HTTP layer turns it into the error body.

    `code` is a domain code such as VALIDATION_FAILED; `shared.http.problems` maps it to a status. Long messages are cut
    and end in `…`; details beyond MAX_ANSWER bytes are left out. `retry_after`: seconds after which the same request
    may succeed, of one that is answered 503; None for the usual second.
    """

    def __init__(self, code: str, detail: str, *details: Detail, retry_after: int | None = None) -> None:
        super().__init__(shortened(detail))
        self.code = code
        self.detail = shortened(detail)
        self.details = list(_bounded(details))
        self.retry_after = retry_after


def invalid(detail: str, *details: Detail) -> Problem:
    """VALIDATION_FAILED; `details` are the faults that have a place in the request."""
    return Problem("VALIDATION_FAILED", detail, *details)


def invalid_header(name: str, message: str) -> Problem:
    """VALIDATION_FAILED for a request header."""
    return invalid(f"{name} {message}", Detail(f"header:{name}", message))


def not_found(what: str) -> Problem:
    """NOT_FOUND. The message is the same for what does not exist and for what belongs to another user."""
    return Problem("NOT_FOUND", f"{what} does not exist, or is not yours")


def about(container: Mapping[str, Any], name: str, pointer: str, message: str) -> Detail:
    """A fault of a member of the object at `pointer`: `message`, or "is required" if the member is missing."""
    return Detail(f"{pointer}/{name}", message if name in container else "is required")


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """The text, cut to `most` bytes as JSON; a cut text ends in `…`. Lone surrogates become `?`."""
    text = text.encode("utf-8", "replace").decode()
    if _size(text[: most + 1]) <= most and len(text) <= most:
        return text
    text = text[:most]
    while _size(text) > most - 3:
        text = text[: len(text) * (most - 3) // _size(text)]
    return f"{text}…"


def quote(value: object, most: int = 60) -> str:
    """A value of the input for a message, at most `most` characters: its repr, or "an object" or "a list"."""
    if isinstance(value, str):
        text = repr(value[: most + 1])
    elif isinstance(value, dict | list):
        text = "an object" if isinstance(value, dict) else "a list"
    else:
        text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _bounded(details: Iterable[Detail]) -> Iterable[Detail]:
    left = MAX_ANSWER
    for detail in details:
        short = Detail(_ancestor(detail.pointer), shortened(detail.message))
        left -= len(msgspec.json.encode(short)) + 1
        if left < 0:
            return
        yield short


def _ancestor(pointer: str) -> str:
    """The pointer, or that of the nearest ancestor within MAX_TEXT bytes: a cut pointer would name no value."""
    while len(pointer) > MAX_TEXT or _size(pointer) > MAX_TEXT:
        pointer = pointer[:MAX_TEXT].rpartition("/")[0]
    return pointer


def _size(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2
