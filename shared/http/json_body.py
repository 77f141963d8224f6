"""Decodes JSON bodies strictly, once, and straight into the handler's type (docs/reference/http.md)."""

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
"""Levels of arrays and objects in a body: few enough to traverse them recursively."""
OFF_LOOP = 64 * 1024
"""Bytes from which on a body is decoded in a thread, so that it does not block the event loop."""
EVERY_ITEM = "*"
"""In the path of a decimal: every item of an array."""

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Path = tuple[str, ...]


def _malformed(why: str) -> Problem:
    return Problem("VALIDATION_FAILED", f"The body is not valid JSON: {why}", Detail("", why))


def is_too_deep(body: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON nests deeper than `limit` levels. The result for other texts has no meaning.

    Removes the innermost pairs of brackets `limit` times, and looks whether any are left. All of it runs in C, so a
    megabyte of brackets costs milliseconds.
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
    """The body as the given type. Raises VALIDATION_FAILED with the JSON pointer of the fault."""
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
    """The paths of a type's decimals. They may be strings, of which Python's Decimal accepts more than the API does."""
    return tuple(_decimals(inspect.type_info(annotation)))


def _decimals(kind: inspect.Type) -> list[Path]:
    match kind:
        case inspect.DecimalType():
            return [()]
        case inspect.UnionType(types=types):
            return [path for member in types for path in _decimals(member)]
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
                lists = [(pointer, node) for pointer, node in places if isinstance(node, list)]
                places = [(f"{pointer}/{index}", item) for pointer, node in lists for index, item in enumerate(node)]
            else:
                objects = [(pointer, node) for pointer, node in places if isinstance(node, dict)]
                places = [(f"{pointer}/{step}", node[step]) for pointer, node in objects if step in node]
        for pointer, node in places:
            if isinstance(node, str) and not DECIMAL.fullmatch(node):
                return Detail(pointer, 'must be a decimal, as a number (12.5) or as a string of digits ("12.5")')
    return None
