"""Checks that texts and JSON values can be stored and displayed."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from shared.contracts.pointers import values
from shared.contracts.problem import Detail
from shared.contracts.references import MAX_DEPTH, depth

ESCAPED_NUL = b"\\u0000"
"""The NUL character as JSON has it; an escaped backslash before `u0000` looks the same."""


def line_faults(text: str, pointer: str, name: str, longest: int) -> list[Detail]:
    """The faults of a text that must not be blank. Messages call it `name`; `longest` is in characters."""
    if not text.strip():
        return [Detail(pointer, f"{name} must not be blank")]
    return text_faults(text, pointer, name, longest)


def text_faults(text: str, pointer: str, name: str, longest: int) -> list[Detail]:
    """The faults of a text, which may be blank."""
    if len(text) > longest:
        return [Detail(pointer, f"{name} has at most {longest} characters, and this one has {len(text)}")]
    if "\0" in text:
        return [Detail(pointer, f"{name} must not contain the NUL character")]
    return []


def json_faults(value: Any, pointer: str) -> list[Detail]:
    """Faults of a JSON value: nesting deeper than MAX_DEPTH, or NUL, which PostgreSQL can't store."""
    if depth(value) > MAX_DEPTH:
        return [Detail(pointer, f"the value nests deeper than {MAX_DEPTH} levels")]
    if ESCAPED_NUL not in msgspec.json.encode(value):
        return []
    return [Detail(where, "a text must not contain the NUL character") for where in islice(_nuls(value, pointer), 100)]


def _nuls(document: Any, pointer: str) -> Iterator[str]:
    for where, value in values(document, pointer):
        texts = (value,) if isinstance(value, str) else value if isinstance(value, dict) else ()
        if any("\0" in text for text in texts):
            yield str(where)
