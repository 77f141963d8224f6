"""What JSON may say beside being JSON: I-JSON (RFC 7493), so that every value is kept, and comes back, as it was sent.

Refused are members that stand twice, numbers beyond 64-bit integers and doubles, and in texts U+0000, which PostgreSQL
can't hold, and halves of surrogate pairs.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from shared.contracts.problem import Detail

MAX_NUMBER = 40
"""Characters of a number: an exact decimal of 20 digits on both sides of its point fits."""
DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?", re.ASCII)
"""An exact decimal in a text: digits, no sign but a minus, no exponent."""

_LOOK_CLOSER = (re.compile(r"[0-9.](?:[0-9.]{17}|[eE])"), re.compile(r"\\u(?:0000|[dD][89a-fA-F])"))
"""Long numbers, exponents, and escapes that no text may have: they are rare, and only they are checked closely.

Two expressions that each begin with one thing are searched for in a third of the time of one with alternatives.
"""


def lossy(text: str) -> Detail | None:
    """What in a JSON text could not be kept, with its pointer; None for all else, also for what isn't JSON."""
    try:
        if not any(each.search(text) for each in _LOOK_CLOSER):
            json.loads(text, object_pairs_hook=_unique)
            return None
    except _Doubled:
        pass
    except (ValueError, RecursionError):
        return None
    try:
        read = json.loads(text, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return None
    return next(_faults(read), None)


def number_fault(written: str) -> str | None:
    """What is wrong with a JSON number."""
    if len(written) > MAX_NUMBER:
        return f"a number has at most {MAX_NUMBER} characters"
    if written.lstrip("-").isdecimal():
        return None if -(2**63) <= int(written) < 2**63 else "a whole number is between -2^63 and 2^63 - 1"
    mantissa = re.split("[eE]", written)[0]
    if not math.isfinite(float(written)) or (float(written) == 0 and any(digit in mantissa for digit in "123456789")):
        return "a number is one that a double can hold"
    return None


def escape_pointer(token: str) -> str:
    """One reference token of a JSON pointer (RFC 6901, section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


class _Doubled(Exception):  # noqa: N818 - what was found
    """An object has a member twice."""


class _Members(list[tuple[str, Any]]):
    """An object, with every member that was written."""


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(members)
    if len(read) != len(members):
        raise _Doubled
    return read


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
    seen: set[str] = set()
    for name, member in members:
        place = f"{pointer}/{escape_pointer(name)}"
        if fault := _text_fault(name):
            yield Detail(pointer, f"the name of a member {fault}")
        elif name in seen:
            yield Detail(place, "stands twice")
        seen.add(name)
        yield from _faults(member, place)


def _text_fault(text: str) -> str | None:
    if "\0" in text:
        return "contains the character U+0000, which can't be stored"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "contains half of a surrogate pair, which is no character"
    return None
