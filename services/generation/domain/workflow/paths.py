"""Paths of the component library's `pathJq`: where a field's value goes in a workflow's template.

All spellings of the library are read: `.payload.prompt`, `payload`, `.payload.tools.[0].size`, `.steps[0].input.model`.
"""

import re
from itertools import pairwise
from typing import Any

Path = tuple[str | int, ...]
"""Keys of objects and indexes of arrays, from the template's root."""

MAX_PARTS = 32
MAX_INDEX = 99
"""An array is filled with nulls up to an index, so indexes are bounded."""

_PART = re.compile(r"""\.?(?:\[(?P<index>\d{1,6})\]|\["(?P<quoted>[^"\\]{1,200})"\]|(?P<key>[^.\[\]"\s]{1,200}))""")


class BadPath(ValueError):  # noqa: N818 - its message is the sentence that the operator reads
    """The text is not a path."""


def parse_path(text: str) -> Path:
    """Raises BadPath."""
    parts: list[str | int] = []
    end = 0
    while end < len(text):
        part = _PART.match(text, end)
        if part is None:
            break
        parts.append(int(part["index"]) if part["index"] is not None else part["quoted"] or part["key"])
        end = part.end()
    if end < len(text) or not parts or isinstance(parts[0], int):
        raise BadPath("a path is keys and indexes, such as .prompt, .options.size or .steps[0].input.model")
    if len(parts) > MAX_PARTS:
        raise BadPath(f"a path has at most {MAX_PARTS} parts")
    if any(isinstance(part, int) and part > MAX_INDEX for part in parts):
        raise BadPath(f"an index is at most {MAX_INDEX}")
    return tuple(parts)


def set_at(document: dict[str, Any], path: Path, value: Any) -> None:
    """Sets the value at a path of a document that may be changed. Missing objects and arrays on the way are made.

    A value on the way that is neither, such as a text, is replaced.
    """
    place: Any = document
    for part, following in pairwise(path):
        child = _child(place, part)
        container: type = list if isinstance(following, int) else dict
        if not isinstance(child, container):
            child = container()
            _put(place, part, child)
        place = child
    _put(place, path[-1], value)


def _child(place: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return place[part] if part < len(place) else None
    return place.get(part)


def _put(place: Any, part: str | int, value: Any) -> None:
    if isinstance(part, int):
        place.extend([None] * (part + 1 - len(place)))
    place[part] = value
