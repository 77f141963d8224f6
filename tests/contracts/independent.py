"""A second decoder of contracts, on the standard library's json, to compare the real one with."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import inspect


def read(type_: type[msgspec.Struct], data: bytes) -> msgspec.Struct:
    """Decodes the bytes field by field, as the class declares them."""
    value = _read(inspect.type_info(type_), json.loads(data))
    assert isinstance(value, msgspec.Struct)
    return value


def _unchanged(value: Any) -> Any:
    return value


_SCALARS: dict[type[inspect.Type], Callable[[Any], Any]] = {
    inspect.UUIDType: UUID,
    inspect.FloatType: float,
    inspect.DateTimeType: datetime.fromisoformat,
}


def _read(type_: inspect.Type, value: Any) -> Any:
    match type_:
        case inspect.StructType(cls=cls, fields=fields):
            present = {field.name: _read(field.type, value[field.encode_name]) for field in fields if _in(field, value)}
            return cls(**present)
        case inspect.ListType(item_type=item):
            return [_read(item, entry) for entry in value]
        case inspect.DictType(key_type=key, value_type=item):
            return {_read(key, name): _read(item, entry) for name, entry in value.items()}
        case inspect.UnionType(types=types) if value is not None:
            return _read(next(item for item in types if not isinstance(item, inspect.NoneType)), value)
        case _:
            return _SCALARS.get(type(type_), _unchanged)(value)


def _in(field: inspect.Field, value: dict[str, Any]) -> bool:
    return field.encode_name in value
