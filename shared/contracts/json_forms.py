"""Restrictions on JSON beyond its grammar, those of I-JSON (RFC 7493): every accepted value is stored without loss.

Rejected are duplicate members, numbers beyond 64-bit integers and doubles, and strings with lone surrogates or with
U+0000, which PostgreSQL can't store.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from shared.contracts.pointers import escape_token
from shared.contracts.problem import Detail

MAX_NUMBER = 40
"""Characters of a number in a JSON document."""
DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?", re.ASCII)
"""An exact decimal in a string: digits, optionally a minus, no exponent."""

_NEEDS_CHECK = (re.compile(r"[0-9.](?:[0-9.]{17}|[eE])"), re.compile(r"\\u(?:0000|[dD][89a-fA-F])"))
"""Long numbers, exponents, and escapes of U+0000 or surrogates: rare, and only texts with them need the slow check.

Two expressions without alternatives at their start take a third of the time of one with them.
"""


def lossy(text: str) -> Detail | None:
    """The first value of a JSON text that can't be stored without loss; None if there is none, or it is not JSON."""
    try:
        if not any(pattern.search(text) for pattern in _NEEDS_CHECK):
            json.loads(text, object_pairs_hook=_unique)
            return None
    except _Duplicates:
        pass
    except (ValueError, RecursionError):
        return None
    try:
        document = json.loads(text, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return None
    return next(_faults(document), None)


def number_fault(text: str) -> str | None:
    """What is wrong with a JSON number, or None."""
    if len(text) > MAX_NUMBER:
        return f"a number may have at most {MAX_NUMBER} characters"
    if text.lstrip("-").isdecimal():
        return None if -(2**63) <= int(text) < 2**63 else "an integer must be between -2^63 and 2^63 - 1"
    mantissa = re.split("[eE]", text)[0]
    if not math.isfinite(float(text)) or (float(text) == 0 and any(digit in mantissa for digit in "123456789")):
        return "a number must be within the range of a double"
    return None


class _Duplicates(Exception):  # noqa: N818 - a property of the text, not an error
    """An object has duplicate members."""


class _Members(list[tuple[str, Any]]):
    """An object's members in document order, duplicates included."""


class _Number(str):
    """A number as its text in the document."""

    __slots__ = ()


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(members)
    if len(entries) != len(members):
        raise _Duplicates
    return entries


def _faults(value: Any, pointer: str = "") -> Iterator[Detail]:
    match value:
        case _Members():
            yield from _member_faults(value, pointer)
        case list():
            for index, item in enumerate(value):
                yield from _faults(item, f"{pointer}/{index}")
        case _Number():
            if fault := number_fault(value):
                yield Detail(pointer, fault)
        case str():
            if fault := _text_fault(value):
                yield Detail(pointer, fault)


def _member_faults(members: _Members, pointer: str) -> Iterator[Detail]:
    names: set[str] = set()
    for name, member in members:
        place = f"{pointer}/{escape_token(name)}"
        if fault := _text_fault(name):
            yield Detail(pointer, f"the name of a member {fault}")
        elif name in names:
            yield Detail(place, "is a duplicate member")
        names.add(name)
        yield from _faults(member, place)


def _text_fault(text: str) -> str | None:
    if "\0" in text:
        return "contains the character U+0000, which can't be stored"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "contains a lone surrogate, which is not a character"
    return None
