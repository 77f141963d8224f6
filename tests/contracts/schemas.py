"""The schemas of contracts, in a form in which two versions can be compared.

`schemas/<owner>.json` holds them as last recorded: `{name: {"class", "aggregate", "schema"}}`. A schema is msgspec's
JSON Schema of the type, without prose, with nested types inlined, and with `x-omitted` for fields that are not written
when they have their default.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from tests.contracts.catalogue import Contract

FOLDER = Path(__file__).parent / "schemas"
OMITTED = "x-omitted"

Schema = dict[str, Any]
Recorded = dict[str, dict[str, Any]]
"""The contracts of one owner by their names."""

_PROSE = {"title", "description", "examples"}
_REFERENCE = "#/$defs/"


def describe(contract: Contract) -> dict[str, Any]:
    return {"class": contract.type.__name__, "aggregate": contract.aggregate, "schema": schema_of(contract.type)}


def schema_of(type_: type[msgspec.Struct]) -> Schema:
    (root,), components = msgspec.json.schema_components([type_])
    omitting = {cls.__name__ for cls in _structs(type_) if cls.__struct_config__.omit_defaults}
    for name, component in components.items():
        if name in omitting:
            required = component.get("required", [])
            component[OMITTED] = sorted(field for field in component["properties"] if field not in required)
    schema = _resolved(root, components, ())
    assert isinstance(schema, dict)
    return schema


def _structs(type_: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    """The type and all struct types within it."""
    structs: set[type[msgspec.Struct]] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(type_)]
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in structs:
                continue
            structs.add(info.cls)
            waiting.extend(field.type for field in info.fields)
        elif isinstance(info, msgspec.inspect.UnionType):
            waiting.extend(info.types)
        elif isinstance(info, msgspec.inspect.DictType):
            waiting.append(info.value_type)
        elif isinstance(info, msgspec.inspect.ListType):
            waiting.append(info.item_type)
    return structs


def _resolved(value: Any, components: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_resolved(item, components, inside) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        name = value["$ref"].removeprefix(_REFERENCE)
        assert name not in inside, f"{name} contains itself: tests/contracts/schemas.py can't inline it"
        beside = {key: item for key, item in value.items() if key != "$ref"}
        return {**_resolved(components[name], components, (*inside, name)), **beside}
    return {
        key: _fields(item, components, inside) if key == "properties" else _resolved(item, components, inside)
        for key, item in value.items()
        if key not in _PROSE
    }


def _fields(properties: dict[str, Any], components: dict[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
    """Keeps fields that are called title or description."""
    return {name: _resolved(schema, components, inside) for name, schema in properties.items()}


def read(owner: str) -> Recorded:
    path = FOLDER / f"{owner}.json"
    recorded: Recorded = json.loads(path.read_bytes()) if path.exists() else {}
    return recorded


def write(owner: str, contracts: Recorded) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{owner}.json").write_text(json.dumps(contracts, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
