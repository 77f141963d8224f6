"""Variables of a GenerationInput: what a collection's artworks differ in.

`pick` draws one of a list (weights optional), `text` and `number` hold one value that a request may set.
"""

import math
from collections.abc import Iterator
from typing import Any

from shared.contracts.problem import Detail

TYPES = ("pick", "text", "number")
VALUE_TYPES = ("strings", "numbers", "images")
MAX_VARIABLES = 200
MAX_VALUES = 10_000
MAX_NAME = 100


def faults(variables: Any, pointer: str) -> list[Detail]:
    """Everything that is wrong with the definitions of a collection's variables."""
    if not isinstance(variables, list):
        return [Detail(pointer, "variables must be a list")]
    if len(variables) > MAX_VARIABLES:
        return [Detail(pointer, f"a collection has at most {MAX_VARIABLES} variables, and this has {len(variables)}")]
    found: list[Detail] = []
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        where = f"{pointer}/{index}"
        if not isinstance(variable, dict):
            found.append(Detail(where, "a variable must be an object"))
            continue
        found.extend(_name(variable.get("name"), seen, f"{where}/name"))
        found.extend(_definition(variable, where))
    return found


def names(variables: list[dict[str, Any]]) -> list[str]:
    return [variable["name"] for variable in variables]


def _name(name: Any, seen: set[str], where: str) -> Iterator[Detail]:
    if not isinstance(name, str) or not name.strip():
        yield Detail(where, "a variable must have a name")
    elif len(name) > MAX_NAME:
        yield Detail(where, f"a variable's name has at most {MAX_NAME} characters")
    elif name != name.strip() or "{" in name or "}" in name or name.startswith("$ref"):
        yield Detail(where, f"{name!r} can't stand between {{{{ and }}}}: no braces, no outer spaces, no leading $ref")
    elif name in seen:
        yield Detail(where, f"there are two variables named {name!r}")
    else:
        seen.add(name)


def _definition(variable: dict[str, Any], where: str) -> Iterator[Detail]:
    kind, value_type = variable.get("type"), variable.get("value_type")
    if kind not in TYPES:
        yield Detail(f"{where}/type", f"a variable's type is one of {', '.join(TYPES)}")
    if value_type is not None and value_type not in VALUE_TYPES:
        yield Detail(f"{where}/value_type", f"a variable's value_type is one of {', '.join(VALUE_TYPES)}")
        return
    if not isinstance(variable.get("lock_value", False), bool):
        yield Detail(f"{where}/lock_value", "lock_value is true or false")
    value = variable.get("value")
    if kind == "pick":
        yield from _pick(value, value_type, f"{where}/value")
    elif kind == "text" and not isinstance(value, str | None):
        yield Detail(f"{where}/value", "a text variable's value is a string")
    elif kind == "number" and value is not None and not _is_number(value):
        yield Detail(f"{where}/value", "a number variable's value is a number")


def _pick(value: Any, value_type: str | None, where: str) -> Iterator[Detail]:
    if not isinstance(value, dict):
        yield Detail(where, "a pick's value is an object with `values`, and optional `display_names` and `weights`")
        return
    values = value.get("values")
    if not isinstance(values, list) or not values:
        yield Detail(f"{where}/values", "a pick has a list of at least one value")
        return
    if len(values) > MAX_VALUES:
        yield Detail(f"{where}/values", f"a pick has at most {MAX_VALUES} values")
        return
    for index, each in enumerate(values):
        wanted = _mismatch(each, value_type)
        if wanted:
            yield Detail(f"{where}/values/{index}", f"each value of this pick is {wanted}")
    shown, weights = value.get("display_names"), value.get("weights")
    if shown is not None and not (_one_each(shown, values) and all(isinstance(name, str) for name in shown)):
        yield Detail(f"{where}/display_names", f"display_names has one string per value, {len(values)} of them")
    if weights is not None:
        yield from _weights(weights, values, f"{where}/weights")


def _weights(weights: Any, values: list[Any], where: str) -> Iterator[Detail]:
    if not _one_each(weights, values) or not all(_is_number(weight) and weight >= 0 for weight in weights):
        yield Detail(where, f"weights has one number from 0 up per value, {len(values)} of them")
    elif not any(weights):
        yield Detail(where, "at least one weight is above 0, or nothing could be drawn")


def _mismatch(value: Any, value_type: str | None) -> str | None:
    if value_type == "numbers":
        return None if _is_number(value) else "a number"
    if value_type is None:
        return None if isinstance(value, str) or _is_number(value) else "a string or a number"
    return None if isinstance(value, str) else "a string"


def _one_each(given: Any, values: list[Any]) -> bool:
    return isinstance(given, list) and len(given) == len(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
