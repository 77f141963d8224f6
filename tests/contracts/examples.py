"""Examples of a contract, generated from its type, so that new events have examples automatically.

Ids in fields of the same name are equal, so that the examples of one aggregate could be events of one stream.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID, uuid5

import msgspec
from msgspec import inspect

S = TypeVar("S", bound=msgspec.Struct)

_IDS = UUID("0f7f5d1c-6c2a-4d0e-9f8e-3f1f6a5b7c21")
BEYOND_DOUBLES = 2**53 + 1
"""An integer that a parser with doubles for all numbers would change."""
MOMENT = datetime(2026, 11, 22, 18, 54, 42, 123456, UTC)
"""With microseconds, as PostgreSQL stores it."""

INSTRUCTIONS: dict[str, Any] = {
    "version": "v2",
    "steps": [
        {"id": BEYOND_DOUBLES, "nodeName": "sketch", "alias": "Main", "nodePayload": {"prompt": "a {{style}} 🖼"}},
        {"id": 7, "nodeName": "frame", "nodePayload": {"image": {"$ref": BEYOND_DOUBLES}, "title": 'é "1"\n'}},
    ],
    "generations": {"generations": 2, "hashes": [], "use_custom_hashes": False},
    "variables": [
        {
            "name": "style",
            "type": "pick",
            "value_type": "strings",
            "lock_value": False,
            "value": {"display_names": ["Å"], "values": ["å"], "weights": [0.1]},
        }
    ],
}
ANYTHING: dict[str, Any] = {
    "text": '“é” "quoted" \\ / \t\n 🖼 </script>',
    "large": BEYOND_DOUBLES,
    "numbers": [0, -1, 0.1, -2.5, 1e-7, 1e22],
    "truth": [True, False, None],
    "nested": {"$ref": 7, "": {}, "deep": [[{"of": []}]]},
}
_TEXTS = {
    "ask_again_at": "2026-11-22T19:54:42+00:00",
    "blockchain": "TEZOS",
    "cover_image_url": "https://example.org/bild%20é.png",
    "deadline": "2026-11-22T18:54:42.123456+00:00",
    "expires_at": "2027-01-01T00:00:00+00:00",
    "mime_type": "image/png",
    "not_before": "2026-11-22T18:54:42+00:00",
    "path": "generations/user/job/gid/sid/é 1.png",
    "price": "0.000123",
    "publish_date": "2026-12-24T18:00:00+00:00",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "url": "https://example.org/assets/1/content?x=%20&y=é",
    "value": "12.5",
}
_DIGESTS = {"sha256", "hash", "digest"}


def full(type_: type[S]) -> S:
    """An example with every optional field set, and two items in every list."""
    return _struct(type_, complete=True)


def minimal(type_: type[S]) -> S:
    """An example with required fields only, and empty values where possible."""
    return _struct(type_, complete=False)


def _struct(type_: type[S], *, complete: bool) -> S:
    info = inspect.type_info(type_)
    assert isinstance(info, inspect.StructType), f"{type_} is no Struct"
    fields = [field for field in info.fields if complete or field.required]
    return type_(**{field.name: _value(field.type, field.name, complete=complete) for field in fields})


def _value(type_: inspect.Type, name: str, *, complete: bool) -> Any:
    match type_:
        case inspect.UnionType(types):
            nullable = any(isinstance(item, inspect.NoneType) for item in types)
            first = next(item for item in types if not isinstance(item, inspect.NoneType))
            return None if nullable and not complete else _value(first, name, complete=complete)
        case inspect.ListType(item_type):
            return [_value(item_type, name, complete=item) for item in (True, False)] if complete else []
        case inspect.DictType(key_type, value_type):
            return _mapping(key_type, value_type, name, complete=complete)
        case inspect.StructType(cls):
            return _struct(cls, complete=complete)
        case inspect.LiteralType(values):
            return values[-1] if complete else values[0]
        case _:
            return _scalar(type_, name, complete=complete)


def _scalar(type_: inspect.Type, name: str, *, complete: bool) -> Any:
    match type_:
        case inspect.UUIDType():
            return uuid5(_IDS, name)
        case inspect.StrType():
            return _text(name, complete=complete)
        case inspect.BoolType():
            return complete
        case inspect.IntType() | inspect.FloatType():
            return _number(type_, name, complete=complete)
        case inspect.DateTimeType():
            return MOMENT
        case inspect.AnyType():
            return ANYTHING if complete else None
        case _:
            raise AssertionError(f"tests/contracts/examples.py makes no examples of {type_} yet: add a case")


def _number(type_: inspect.IntType | inspect.FloatType, name: str, *, complete: bool) -> float:
    if isinstance(type_, inspect.FloatType):
        return 0.1 if complete else 0.0
    return BEYOND_DOUBLES if name.endswith("_id") else 3 if complete else 0


def _text(name: str, *, complete: bool) -> str:
    if name in _DIGESTS:
        return sha256(name.encode()).hexdigest()
    if name in _TEXTS:
        return _TEXTS[name]
    return f'{name}: “é” "quoted" \\ 🖼' if complete else ""


def _mapping(key_type: inspect.Type, value_type: inspect.Type, name: str, *, complete: bool) -> dict[Any, Any]:
    if isinstance(value_type, inspect.AnyType):
        if name in {"data", "gen_in_data"}:
            return INSTRUCTIONS if complete else {"version": "v2", "steps": []}
        return ANYTHING if complete else {}
    key = _value(key_type, f"{name}_key", complete=True)
    return {key: _value(value_type, name, complete=True)} if complete else {}
