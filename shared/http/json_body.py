"""JSON bodies, read strictly and once, straight into the handler's type (docs/reference/http.md)."""

import re
from functools import lru_cache
from typing import Any

import msgspec
from litestar.serialization import default_deserializer
from msgspec import inspect

from shared.contracts.json_forms import DECIMAL, lossy
from shared.contracts.problem import Detail, Problem, invalid
from shared.http.problems import invalid_body

MAX_DEPTH = 100
"""Levels of arrays and objects in a body. What passes here can be walked recursively by anyone."""
OFF_LOOP = 64 * 1024
"""Bytes from which on decoding may take so long that it must not hold up the event loop."""
EVERY_ITEM = "*"
"""In the path of a decimal: every item of an array."""

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Path = tuple[str, ...]


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
        fault = lossy(body.decode())
        if fault is None:
            value = _decoder(annotation).decode(body)
            if paths := decimals_of(annotation):
                fault = _decimal_fault(msgspec.json.decode(body), paths)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except msgspec.DecodeError as error:
        raise _malformed(str(error).removeprefix("JSON is malformed: ")) from error
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8") from error
    except RecursionError as error:
        raise _malformed("it nests too deeply") from error
    if fault is not None:
        raise invalid(f"The body is not valid: {fault.pointer or 'it'}: {fault.message}", fault)
    return value


@lru_cache(maxsize=1024)
def decimals_of(annotation: Any) -> tuple[Path, ...]:
    """Where a body of this type has exact decimals: they may be texts, and Python's Decimal reads many that aren't."""
    return tuple(_decimals(inspect.type_info(annotation)))


def _decimals(kind: inspect.Type) -> list[Path]:
    match kind:
        case inspect.DecimalType():
            return [()]
        case inspect.UnionType(types=types):
            return [path for each in types for path in _decimals(each)]
        case inspect.ListType(item_type=item):
            return [(EVERY_ITEM, *path) for path in _decimals(item)]
        case inspect.StructType(fields=fields):
            return [(field.encode_name, *path) for field in fields for path in _decimals(field.type)]
        case inspect.Metadata(type=inner):
            return _decimals(inner)
    return []


def _decimal_fault(value: Any, paths: tuple[Path, ...]) -> Detail | None:
    for path in paths:
        places: list[tuple[str, Any]] = [("", value)]
        for step in path:
            if step == EVERY_ITEM:
                lists = [(pointer, each) for pointer, each in places if isinstance(each, list)]
                places = [(f"{pointer}/{n}", item) for pointer, each in lists for n, item in enumerate(each)]
            else:
                objects = [(pointer, each) for pointer, each in places if isinstance(each, dict)]
                places = [(f"{pointer}/{step}", each[step]) for pointer, each in objects if step in each]
        for pointer, each in places:
            if isinstance(each, str) and not DECIMAL.fullmatch(each):
                return Detail(pointer, "is a decimal such as 12.5, as a number or as a text of digits")
    return None
