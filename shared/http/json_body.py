"""JSON bodies, read strictly and once (docs/reference/http.md): I-JSON (RFC 7493), straight into the handler's type.

What msgspec decodes is JSON; what it lets through and we don't, because it could not be kept as it was sent: members
that stand twice, numbers beyond 64-bit integers and doubles, U+0000 and halves of surrogate pairs in texts.
"""

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
from litestar.serialization import default_deserializer

from shared.contracts.problem import Detail, Problem
from shared.http.problems import escape_pointer, invalid_body

MAX_DEPTH = 100
"""Levels of arrays and objects in a body. What passes here can be walked recursively by anyone."""
MAX_NUMBER = 40
"""Characters of a number: an exact decimal of 20 digits on both sides of its point fits."""
OFF_LOOP = 64 * 1024
"""Bytes from which on decoding may take so long that it must not hold up the event loop."""

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LOOK_CLOSER = re.compile(rb"[0-9.]{18}|[0-9.][eE]|\\u(?:0000|[dD][89a-fA-F])")
"""Long numbers, exponents, and escapes that no text may have: rare, and worth a second look."""


def _malformed(why: str) -> Problem:
    return Problem("VALIDATION_FAILED", f"The body is not valid JSON: {why}", Detail("", why))


def is_too_deep(body: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON nests deeper than `limit`: whether so many rounds of removing the innermost pairs leave some over.

    All steps run at the speed of C, so a megabyte of brackets costs milliseconds. What isn't JSON is not too deep.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    left = _STRING.sub(b"", body).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(limit):
        left = left.replace(b"[]", b"")
    return b"[]" in left


@lru_cache(maxsize=1024)
def _decoder(annotation: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(annotation, dec_hook=default_deserializer)


def decode_body(body: bytes, annotation: Any) -> Any:
    """The body as the given type; VALIDATION_FAILED with the JSON pointer of what is wrong."""
    if is_too_deep(body):
        raise _malformed(f"it nests deeper than {MAX_DEPTH} levels")
    try:
        refuse_lossy(body)
        return _decoder(annotation).decode(body)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except msgspec.DecodeError as error:
        raise _malformed(str(error).removeprefix("JSON is malformed: ")) from error
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8") from error
    except RecursionError as error:
        raise _malformed("it nests too deeply") from error


def refuse_lossy(body: bytes) -> None:
    """Raises VALIDATION_FAILED for JSON that could not be kept as it was sent. What isn't JSON passes."""
    text = body.decode()
    try:
        if not _LOOK_CLOSER.search(body):
            json.loads(text, object_pairs_hook=_unique)
            return
        read = json.loads(text, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number)
    except _Doubled:
        read = json.loads(text, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number)
    except ValueError:
        return
    fault = next(_faults(read), None)
    if fault is not None:
        raise Problem("VALIDATION_FAILED", f"The body is not valid: {fault.pointer or 'it'}: {fault.message}", fault)


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
            if fault := _number_fault(value):
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


def _number_fault(written: str) -> str | None:
    if len(written) > MAX_NUMBER:
        return f"a number has at most {MAX_NUMBER} characters"
    if written.lstrip("-").isdecimal():
        return None if -(2**63) <= int(written) < 2**63 else "a whole number is between -2^63 and 2^63 - 1"
    mantissa = re.split("[eE]", written)[0]
    if not math.isfinite(float(written)) or (float(written) == 0 and any(digit in mantissa for digit in "123456789")):
        return "a number is one that a double can hold"
    return None
