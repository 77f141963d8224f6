"""Refusals: what was wrong with an input, in a form that both a person and a program can use."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MAX_ANSWER = 10_000
"""Bytes, as JSON, that the details of one refusal take; what is beyond is left out. An answer stays below 16 KB."""
MAX_TEXT = 1_000
"""Bytes, as JSON, of a sentence or a pointer in a refusal. Inputs are quoted in both, and may be of any length."""


class Detail(msgspec.Struct, frozen=True):
    """One fault: `pointer` is the JSON pointer (RFC 6901) of the value that is wrong."""

    pointer: str
    message: str


class Problem(Exception):  # noqa: N818 - it is the word of RFC 9457, and of the API
    """Raised by deciders and handlers; the HTTP layer turns it into the one error body.

    `code` is a domain code such as VALIDATION_FAILED; `shared.http.problems` has the status of each. The size of a
    refusal is bounded here: long sentences end in `…`, details beyond MAX_ANSWER are left out.
    """

    def __init__(self, code: str, detail: str, *details: Detail) -> None:
        super().__init__(shortened(detail))
        self.code = code
        self.detail = shortened(detail)
        self.details = list(_bounded(details))


def invalid(detail: str, *details: Detail) -> Problem:
    return Problem("VALIDATION_FAILED", detail, *details)


def not_found(what: str) -> Problem:
    return Problem("NOT_FOUND", f"{what} does not exist, or is not yours")


def about(container: Mapping[str, Any], name: str, pointer: str, message: str) -> Detail:
    """A fault of a member of the object at `pointer`; for a member that is missing, it says that it is required."""
    return Detail(f"{pointer}/{name}", message if name in container else "is required")


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """The text, or as much of its beginning as takes `most` bytes as JSON, with an ellipsis."""
    text = text.encode("utf-8", "replace").decode()
    if _size(text[: most + 1]) <= most and len(text) <= most:
        return text
    text = text[:most]
    while _size(text) > most - 3:
        text = text[: len(text) * (most - 3) // _size(text)]
    return f"{text}…"


def shown(value: object, most: int = 60) -> str:
    """A value of the input within a sentence: as Python writes it, cut when it is long.

    No more is written than is shown: of a list with a million members only the first ones.
    """
    if isinstance(value, str):
        text = repr(value[: most + 1])
    elif isinstance(value, dict | list):
        text = "an object" if isinstance(value, dict) else "a list"
    else:
        text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _bounded(details: Iterable[Detail]) -> Iterable[Detail]:
    left = MAX_ANSWER
    for each in details:
        kept = Detail(_ancestor(each.pointer), shortened(each.message))
        left -= len(msgspec.json.encode(kept)) + 1
        if left < 0:
            return
        yield kept


def _ancestor(pointer: str) -> str:
    """The pointer, or the nearest value above that has one of a reasonable length: a pointer can't be cut anywhere."""
    while len(pointer) > MAX_TEXT or _size(pointer) > MAX_TEXT:
        pointer = pointer[:MAX_TEXT].rpartition("/")[0]
    return pointer


def _size(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2
