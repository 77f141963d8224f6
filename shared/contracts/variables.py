"""Parses and validates the variables of a GenerationInput."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Literal, get_args

import msgspec

from shared.contracts.number_ranges import LIMITS, NumberRange, exact, is_number, range_faults, range_of
from shared.contracts.problem import Detail, about, quote

VariableType = Literal["pick", "text", "number"]
ValueType = Literal["strings", "numbers", "images"]

MAX_VARIABLES = 200
MAX_VALUES = 10_000
MAX_IN_RANGES = 100_000
"""Values of all number variables with `min` and `max` together: their documents are short, whatever they stand for."""
_ONE_OF: dict[ValueType, str] = {"strings": "a string", "numbers": "a number", "images": "an image, as a string"}
_DEFAULT_VALUE_TYPE: dict[str, ValueType] = {"pick": "strings", "text": "strings", "number": "numbers"}


class Variable(msgspec.Struct, frozen=True):
    """One variable. `values` can be drawn; empty for a text or number that only the request can set.

    `shares`: the weights as integers in the same proportion, one per value; None for equal ones.
    """

    name: str
    type: VariableType
    value_type: ValueType
    locked: bool
    values: Sequence[Any]
    shares: tuple[int, ...] | None
    test_value: Any = None
    places: dict[str | int | float, int] = {}
    """Of a pick: the first index of each value in `values`; 1 and 1.0 are the same value."""
    sums: Sequence[int] = ()
    """The running sums of `shares`, for drawing by binary search."""

    def place_of(self, value: Any) -> int | None:
        """The index of the first value that equals this one; `value` must be one that `accepts` accepts."""
        return self.places.get(value)

    def accepts(self, value: Any) -> bool:
        """Whether a value is of this variable's type. For a pick, it need not be one of `values`."""
        return fits(value, self.value_type)


def fits(value: Any, value_type: ValueType) -> bool:
    """Whether a value is of this type."""
    return is_number(value) if value_type == "numbers" else isinstance(value, str)


def shares_of(weights: list[int | float]) -> tuple[int, ...]:
    """The weights as integers in exactly the same proportion.

    A weight counts as the decimal of its shortest text (0.1 is one tenth, not the nearest double), so that proportions
    are exactly as written.
    """
    decimals = [exact(weight) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in decimals))
    return tuple(int(weight * scale) for weight in decimals)


def read_variables(documents: Any, pointer: str, faults: list[Detail]) -> tuple[Variable, ...]:
    """The valid variables at `pointer`; faults of the others are added to `faults`."""
    if documents is None:
        return ()
    if not isinstance(documents, list):
        faults.append(Detail(pointer, "variables must be a list"))
        return ()
    if len(documents) > MAX_VARIABLES:
        faults.append(Detail(pointer, f"at most {MAX_VARIABLES} variables are allowed; there are {len(documents)}"))
        return ()
    variables: dict[str, Variable] = {}
    for index, document in enumerate(documents):
        where = f"{pointer}/{index}"
        if not isinstance(document, dict):
            faults.append(Detail(where, "a variable must be an object with a name, a type and a value"))
            continue
        variable_faults = list(_faults(document, where))
        name = document.get("name")
        if isinstance(name, str) and name in variables:
            variable_faults.append(Detail(f"{where}/name", f"another variable has the name {name!r}"))
        faults.extend(variable_faults)
        if not variable_faults:
            variables[document["name"]] = _variable(document)
    ranges = [len(variable.values) for variable in variables.values() if isinstance(variable.values, NumberRange)]
    if sum(ranges) > MAX_IN_RANGES:
        message = f"all ranges of numbers together have {sum(ranges)} values; at most {MAX_IN_RANGES} are allowed"
        faults.append(Detail(pointer, message))
    return tuple(variables.values())


def _variable(document: dict[str, Any]) -> Variable:
    values = _drawable_values(document)
    weights = document["value"].get("weights") if isinstance(document.get("value"), dict) else None
    shares = shares_of(weights) if weights else None
    places: dict[str | int | float, int] = {}
    for place, value in enumerate(values if document["type"] == "pick" else ()):
        places.setdefault(value, place)
    return Variable(
        name=document["name"],
        type=document["type"],
        value_type=_value_type(document),
        locked=document.get("lock_value") or False,
        values=values,
        shares=shares,
        test_value=document.get("test_value"),
        places=places,
        sums=tuple(accumulate(shares)) if shares else range(1, len(values) + 1),
    )


def _value_type(document: dict[str, Any]) -> ValueType:
    value_type: ValueType = document.get("value_type") or _DEFAULT_VALUE_TYPE[document["type"]]
    return value_type


def _drawable_values(document: dict[str, Any]) -> Sequence[Any]:
    """The values that can be drawn: a list, a range of numbers, or the value of a text or number, if any."""
    value = document.get("value")
    if isinstance(value, dict):
        return range_of(value) if _has_range(document, value) else tuple(value.get("values") or ())
    return () if value is None else (value,)


def _has_range(document: dict[str, Any], value: dict[str, Any]) -> bool:
    """Whether a variable's value is a range. Where it lists `values`, early releases have ignored `min` and `max`."""
    return document["type"] == "number" and "values" not in value and any(name in value for name in LIMITS)


def _faults(document: dict[str, Any], where: str) -> Iterator[Detail]:
    name = document.get("name")
    if not isinstance(name, str) or not name or name != name.strip():
        yield about(document, "name", where, "a variable's name must be a non-empty string without spaces around it")
    elif "{" in name or "}" in name or name.startswith("$") or len(name) > 100:
        yield Detail(
            f"{where}/name", "a variable's name must have at most 100 characters and no braces, and not begin with $"
        )
    if not isinstance(document.get("lock_value", False), bool | None):
        yield Detail(f"{where}/lock_value", "lock_value must be true or false")
    kind, value_type = document.get("type"), document.get("value_type")
    if kind not in get_args(VariableType):
        yield about(document, "type", where, f"a variable's type must be one of {', '.join(get_args(VariableType))}")
        return
    if value_type is not None and value_type not in get_args(ValueType):
        yield Detail(f"{where}/value_type", f"a variable's value_type must be one of {', '.join(get_args(ValueType))}")
        return
    if value_type is not None and kind != "pick" and (kind == "number") != (value_type == "numbers"):
        yield Detail(f"{where}/value_type", f"a variable of type {kind} can't have the value_type {value_type}")
        return
    yield from _value_faults(document, where)


def _value_faults(document: dict[str, Any], where: str) -> Iterator[Detail]:
    value, value_type = document.get("value"), _value_type(document)
    if not isinstance(value, dict):
        if document["type"] == "pick":
            yield about(
                document, "value", where, "a pick's value must be an object with values, weights and display_names"
            )
        elif value is not None and not fits(value, value_type):
            yield Detail(f"{where}/value", f"the value must be {_ONE_OF[value_type]}")
        return
    if _has_range(document, value):
        faults = list(range_faults(value, f"{where}/value", MAX_VALUES))
        if not faults and value.get("weights") is not None:
            faults.extend(_weight_faults(value["weights"], len(range_of(value)), f"{where}/value/weights"))
        yield from faults
    else:
        yield from _list_faults(value, value_type, where)


def _list_faults(value: dict[str, Any], value_type: ValueType, where: str) -> Iterator[Detail]:
    """The faults of a value that lists what can be drawn."""
    values = value.get("values")
    if not isinstance(values, list) or not values:
        yield about(value, "values", f"{where}/value", "values must be a list of at least one value")
        return
    if len(values) > MAX_VALUES:
        yield Detail(f"{where}/value/values", f"at most {MAX_VALUES} values are allowed; there are {len(values)}")
        return
    for index, item in enumerate(values):
        if not fits(item, value_type):
            yield Detail(f"{where}/value/values/{index}", f"{quote(item)} is not {_ONE_OF[value_type]}")
    names = value.get("display_names")
    if names is not None:
        yield from _parallel_faults(names, len(values), f"{where}/value/display_names", "a string", str)
    weights = value.get("weights")
    if weights is not None:
        yield from _weight_faults(weights, len(values), f"{where}/value/weights")


def _weight_faults(weights: Any, count: int, where: str) -> Iterator[Detail]:
    faults = list(_parallel_faults(weights, count, where, "a number", int | float))
    for index, weight in enumerate(weights if not faults else ()):
        if not is_number(weight) or weight < 0:
            faults.append(Detail(f"{where}/{index}", f"{quote(weight)} is not a valid weight: a number of at least 0"))
    if not faults and not any(weights):
        faults.append(Detail(where, "at least one weight must be more than 0"))
    yield from faults


def _parallel_faults(items: Any, count: int, where: str, what: str, kind: Any) -> Iterator[Detail]:
    if not isinstance(items, list) or len(items) != count:
        yield Detail(where, f"must be a list as long as values ({count})")
        return
    for index, item in enumerate(items):
        if not isinstance(item, kind):
            yield Detail(f"{where}/{index}", f"{quote(item)} is not {what}")
