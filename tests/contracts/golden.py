"""The golden files: the exact bytes of examples of every contract ever stored or sent.

`golden/<owner>/<name>.json` is an object of examples by name, one per line; the text between colon and comma is the
exact bytes. An existing example never changes.

- `minimal` and `full`: recorded when the contract was new. `full.2`, …: recorded when fields had been added to it.
- `<example> upcast`: of a type that is no longer written, what its upcaster made of the example when it was retired.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from shared.eventstore import Codec
from tests.contracts.catalogue import Contract
from tests.contracts.examples import full, minimal

FOLDER = Path(__file__).parent / "golden"
UPCAST = " upcast"

Examples = dict[str, bytes]


def path_of(owner: str, name: str) -> Path:
    return FOLDER / owner / f"{name}.json"


def recorded(owner: str) -> list[str]:
    """The names of the contracts with a golden file, whether they are still written or not."""
    return sorted(path.name.removesuffix(".json") for path in (FOLDER / owner).glob("*.json"))


def read(owner: str, name: str) -> Examples:
    """The examples' exact bytes by name; empty if there is no file."""
    path = path_of(owner, name)
    raw = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw]) if path.exists() else {}
    return {label: bytes(data) for label, data in raw.items()}


def write(owner: str, name: str, examples: Examples) -> None:
    write_lines(path_of(owner, name), examples)


def write_lines(path: Path, values: Mapping[str, bytes]) -> None:
    """Writes one JSON object, each value on its own line, byte for byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(label) + b": " + data for label, data in values.items()]
    path.write_bytes(b"{\n" + b",\n".join(lines) + b"\n}\n")


def missing(contract: Contract, examples: Examples) -> Examples:
    """The examples that a contract lacks: two at first, and one more if it has fields that no example sets."""
    encode = msgspec.json.encode
    if not examples:
        return {"minimal": encode(minimal(contract.type)), "full": encode(full(contract.type))}
    if not unseen_fields(contract, examples):
        return {}
    count = sum(label.startswith("full") for label in examples)
    return {f"full.{count + 1}": encode(full(contract.type))}


def unseen_fields(contract: Contract, examples: Examples) -> list[str]:
    """Fields of today's contract, at any depth, that no example sets, such as `outputs[].url`."""
    info = inspect.type_info(contract.type)
    set_paths = {path for data in examples.values() for path in _set_fields(info, msgspec.json.decode(data), "")}
    return sorted(set(_set_fields(info, msgspec.to_builtins(full(contract.type)), "")) - set_paths)


def _set_fields(type_: inspect.Type, value: Any, path: str) -> Iterator[str]:
    match type_:
        case inspect.StructType(fields=fields) if isinstance(value, dict):
            for field in fields:
                if value.get(field.encode_name) is not None:
                    yield f"{path}{field.encode_name}"
                    yield from _set_fields(field.type, value[field.encode_name], f"{path}{field.encode_name}.")
        case inspect.ListType(item_type=item) if isinstance(value, list):
            for entry in value:
                yield from _set_fields(item, entry, f"{path.removesuffix('.')}[].")
        case inspect.DictType(value_type=item) if isinstance(value, dict):
            for entry in value.values():
                yield from _set_fields(item, entry, f"{path}*.")
        case inspect.UnionType(types=types):
            for entry in types:
                yield from _set_fields(entry, value, path)
        case _:
            return


def without_added_fields(encoded: bytes, stored: bytes) -> bytes:
    """`encoded` without the fields, at any depth, that `stored` lacks; unchanged if there are none."""
    document, like = msgspec.json.decode(encoded), msgspec.json.decode(stored)
    pruned = _pruned(document, like)
    return encoded if pruned == document else msgspec.json.encode(pruned)


def _pruned(document: Any, like: Any) -> Any:
    if isinstance(document, dict) and isinstance(like, dict):
        return {key: _pruned(value, like[key]) for key, value in document.items() if key in like}
    if isinstance(document, list) and isinstance(like, list) and len(document) == len(like):
        return [_pruned(value, other) for value, other in zip(document, like, strict=True)]
    return document


def with_unknown_fields(data: bytes, type_: type[msgspec.Struct]) -> bytes:
    """The bytes as a newer release might write them: with additional fields in every object."""
    return msgspec.json.encode(_extended(inspect.type_info(type_), msgspec.json.decode(data)))


def _extended(type_: inspect.Type, value: Any) -> Any:
    match type_:
        case inspect.StructType(fields=fields) if isinstance(value, dict):
            types = {field.encode_name: field.type for field in fields}
            members = {key: _extended(types.get(key, inspect.AnyType()), item) for key, item in value.items()}
            return {"a_field_of_tomorrow": {"type": "x"}, **members, "another": None}
        case inspect.ListType(item_type=item) if isinstance(value, list):
            return [_extended(item, entry) for entry in value]
        case inspect.UnionType(types=types) if value is not None:
            return _extended(next(item for item in types if not isinstance(item, inspect.NoneType)), value)
        case _:
            return value


def still_read(codec: Codec, name: str, examples: Examples) -> bool:
    """Whether a type that is no longer written is upcast to one that is."""
    try:
        for label in _stored(examples):
            codec.decode(name, examples[label])
    except Exception:  # noqa: BLE001 - any exception of a missing or wrong upcaster means: not readable
        return False
    return bool(examples)


def missing_upcasts(codec: Codec, name: str, examples: Examples) -> Examples:
    """The upcast forms of a retired type's examples that are not recorded yet."""
    lacking = [label for label in _stored(examples) if label + UPCAST not in examples]
    return {label + UPCAST: codec.encode(codec.decode(name, examples[label]))[1] for label in lacking}


def changed_upcasts(codec: Codec, name: str, examples: Examples) -> list[str]:
    """The examples of a retired type whose upcast form differs from the recorded one."""
    changed = []
    for label in _stored(examples):
        expected = examples.get(label + UPCAST)
        if expected is not None:
            tag = msgspec.json.decode(expected)["type"]
            if codec.decode(name, examples[label]) != codec.decode(tag, expected):
                changed.append(label)
    return changed


def _stored(examples: Examples) -> list[str]:
    return [label for label in examples if not label.endswith(UPCAST)]
